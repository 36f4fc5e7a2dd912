"""``hydra-box scale``."""

from __future__ import annotations

import click

from hydra_box.cli import render
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put
from hydra_box.cli.verb import Verb
from hydra_box.cli.waiting import wait_running
from hydra_box.messages import ScaleRequest


@click.command(
    cls=Verb,
    examples=("hydra-box scale qwen2 --instances 3 --wait", "hydra-box scale qwen2 --add 1"),
)
@click.argument("name")
@click.option("--instances", type=int, metavar="N", help="How many it shall have.")
@click.option("--add", type=int, metavar="N", help="How many more; fewer, if negative.")
@click.option("--wait", is_flag=True, help="Return when that many are ready.")
@click.pass_obj
def scale(options: Options, name: str, instances: int | None, add: int | None, wait: bool) -> None:
    """Change how many instances the service NAME has; those taken away finish what they do."""
    if (instances is None) == (add is None):
        raise click.UsageError("give one of --instances N and --add N")
    with connect(options) as client:
        view = client.scale(name, ScaleRequest(instances=instances, add=add))
        if wait:
            view = wait_running(client, view)
    if options.json:
        emit(view)
    else:
        put(render.services((view,)))
