"""``hydra-box usage``."""

from __future__ import annotations

from typing import Final, TypedDict, Unpack

import click

from hydra_box.cli import render_usage
from hydra_box.cli.connection import connect
from hydra_box.cli.memory_bar import glyphs
from hydra_box.cli.moment import Moment
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put
from hydra_box.cli.verb import Verb
from hydra_box.messages import UsageBy, UsageFormat, UsagePer, UsageRow
from hydra_box.shown import csv_rows

_TIMES: Final = tuple(one.value for one in UsagePer)
_GROUPS: Final = tuple(one.value for one in UsageBy)


class Of(TypedDict):
    """What the answer is narrowed to."""

    since: float | None
    until: float | None
    key: str | None
    service: str | None


@click.command(
    cls=Verb,
    examples=(
        "hydra-box usage",
        "hydra-box usage --by key --by month --json",
        "hydra-box usage --by day --since 2026-11-01 --until 2026-12-01 --csv",
        "hydra-box usage --requests --csv --since 7d --key laptop",
    ),
)
@click.option(
    "--by",
    type=click.Choice([*_GROUPS, *_TIMES]),
    multiple=True,
    help="What to add up; twice, once for what and once for the time: --by key --by month. "
    "A time alone is for all together. [default: model]",
)
@click.option(
    "--per",
    type=click.Choice(_TIMES),
    help="The time of each bar; the same as such a --by. [default: day]",
)
@click.option(
    "--since",
    type=Moment(),
    help="So long ago (12h, 30d, 4w) or from a date on, in whole hours. "
    "[default: two weeks; 12 weeks or 12 months with --per week or month]",
)
@click.option("--until", type=Moment(), help="So long ago, or before a date. [default: now]")
@click.option("--csv", "as_csv", is_flag=True, help="Print a line of CSV for each row.")
@click.option(
    "--requests", "singly", is_flag=True, help="Every single request, with --csv or --json."
)
@click.option("--key", metavar="NAME", help="Only requests with this key; with --requests.")
@click.option(
    "--service", metavar="NAME", help="Only those for this service: a name, access name or id."
)
@click.pass_obj
def usage(
    options: Options,
    *,
    by: tuple[str, ...],
    per: str | None,
    as_csv: bool,
    singly: bool,
    **of: Unpack[Of],
) -> None:
    """Show requests and tokens of each model, key, user or service, and over time.

    Hours, days, weeks (from Monday) and months are those of the box's own time zone. Costs are
    there where a service has a price, energy where a GPU was measured.
    """
    if as_csv and options.json:
        raise click.UsageError("--csv and --json are two forms of one answer; give one of them")
    if singly:
        if by or per:
            raise click.UsageError("--requests adds nothing up; leave out --by and --per")
        _put_requests(options, of, as_csv=as_csv)
        return
    if of["key"] or of["service"]:
        raise click.UsageError("--key and --service choose among --requests")
    group, time = _asked(by, per)
    with connect(options) as client:
        report = client.usage(by=group, per=time, since=of["since"], until=of["until"])
    if options.json:
        emit(report)
    elif as_csv:
        put(csv_rows.header(UsageRow) + csv_rows.lines(report.rows), newline=False)
    else:
        put(render_usage.usage(report, glyphs()))


def _asked(by: tuple[str, ...], per: str | None) -> tuple[UsageBy, UsagePer]:
    """What is added up, and over which time."""
    groups = [one for one in by if one in _GROUPS]
    times = [one for one in by if one in _TIMES] + ([] if per is None else [per])
    if len(groups) > 1 or len(set(times)) > 1:
        raise click.UsageError("one report is by one thing and by one time; ask for them in turn")
    alone = UsageBy.ALL if by and not groups else UsageBy.MODEL
    group = UsageBy(groups[0]) if groups else alone
    return group, UsagePer(times[0]) if times else UsagePer.DAY


def _put_requests(options: Options, of: Of, *, as_csv: bool) -> None:
    """Pass an export on, line by line: it may be larger than the memory."""
    if not (as_csv or options.json):
        raise click.UsageError("--requests needs --csv or --json")
    with connect(options) as client:
        for line in client.usage_requests(UsageFormat.CSV if as_csv else UsageFormat.JSON, **of):
            put(line)
