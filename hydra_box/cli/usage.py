"""``hydra-box usage``."""

from __future__ import annotations

import click

from hydra_box.cli import render_usage
from hydra_box.cli.connection import connect
from hydra_box.cli.memory_bar import glyphs
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put
from hydra_box.cli.verb import Verb
from hydra_box.messages import UsageBy, UsagePer


@click.command(
    cls=Verb,
    examples=("hydra-box usage", "hydra-box usage --by key --per month --json"),
)
@click.option(
    "--by",
    type=click.Choice([one.value for one in UsageBy]),
    default=UsageBy.MODEL.value,
    show_default=True,
    help="What to add up.",
)
@click.option(
    "--per",
    type=click.Choice([one.value for one in UsagePer]),
    default=UsagePer.DAY.value,
    show_default=True,
    help="The last 48 hours, 14 days, 12 weeks or 12 months.",
)
@click.pass_obj
def usage(options: Options, by: str, per: str) -> None:
    """Show requests and tokens of each model or key, and over time.

    Hours, days, weeks (from Monday) and months are those of the box's own time zone.
    """
    with connect(options) as client:
        report = client.usage(by=UsageBy(by), per=UsagePer(per))
    if options.json:
        emit(report)
    else:
        put(render_usage.usage(report, glyphs()))
