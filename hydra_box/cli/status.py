"""``hydra-box status``."""

from __future__ import annotations

import time

import click

from hydra_box.cli import render
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, style
from hydra_box.cli.verb import Verb
from hydra_box.messages import BoxStatus
from hydra_box.shown.numbers import duration


@click.command(cls=Verb, examples=("hydra-box status", "hydra-box status --json"))
@click.pass_obj
def status(options: Options) -> None:
    """Show the box, its services and instances, and what needs attention."""
    with connect(options) as client:
        box = client.status()
    if options.json:
        emit(box)
        return
    put(_head(box))
    put("")
    put(render.services(box.services))
    if lines := render.instances(box.services):
        put("")
        put(lines)
    for one in box.attention:
        put("")
        put(f"{style('needs attention:', fg='yellow', bold=True)} {one.message}")
        if one.hint:
            put(f"{style('hint:', fg='cyan')} {one.hint}")


def _head(box: BoxStatus) -> str:
    engines = ", ".join(
        f"{engine} by {runtime or style('none that has answered yet', fg='yellow')}"
        for engine, runtime in box.runtimes.items()
    )
    up = duration(max(0.0, time.time() - box.started_at))
    return "\n".join(
        (
            f"Hydra Box {box.version} at {style(box.url, bold=True)}, pid {box.pid}, up {up}",
            f"user     {box.user_id}",
            f"state    {box.state_directory}",
            f"engines  {engines or 'none'}",
        )
    )
