"""``hydra-box logs``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, harmless, put
from hydra_box.cli.verb import Verb


@click.command(
    cls=Verb, examples=("hydra-box logs qwen2 --lines 50", "hydra-box logs qwen2 --follow")
)
@click.argument("name")
@click.option("--instance", metavar="ID", help="One of its instances [default: all].")
@click.option(
    "--lines", type=click.IntRange(min=0), default=200, show_default=True, help="How far back."
)
@click.option("--follow", "-f", is_flag=True, help="Go on with what is printed from now on.")
@click.pass_obj
def logs(options: Options, name: str, instance: str | None, lines: int, follow: bool) -> None:
    """Show what the engines of the service NAME printed."""
    if follow and options.json:
        raise click.UsageError("--follow never ends, so it cannot be one JSON object")
    with connect(options) as client:
        parts: Iterator[str] = client.logs(name, instance=instance, lines=lines, follow=follow)
        if options.json:
            text = "".join(parts)
            emit({"service": name, "instance": instance, "lines": text.splitlines()})
            return
        for part in parts:
            put(harmless(part), newline=False)
