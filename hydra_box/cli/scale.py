"""``hydra-box scale``."""

from __future__ import annotations

import shlex

import click

from hydra_box.cli import render
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put
from hydra_box.cli.plan import show
from hydra_box.cli.verb import Verb
from hydra_box.cli.waiting import wait_running
from hydra_box.messages import PlanView, ScaleRequest
from hydra_box.types import Ask


@click.command(
    cls=Verb,
    examples=(
        "hydra-box scale qwen2 --instances 3 --wait",
        "hydra-box scale qwen2 --add 1",
        "hydra-box scale qwen2 --add 2 --dry-run",
    ),
)
@click.argument("name")
@click.option("--instances", type=int, metavar="N", help="How many it shall have.")
@click.option("--add", type=int, metavar="N", help="How many more; fewer, if negative.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing; 10: no fit.")
@click.option("--wait", is_flag=True, help="Return when that many are ready.")
@click.pass_obj
def scale(
    options: Options,
    name: str,
    *,
    instances: int | None,
    add: int | None,
    dry_run: bool,
    wait: bool,
) -> None:
    """Change how many instances the service NAME has; those taken away finish what they do."""
    if (instances is None) == (add is None):
        raise click.UsageError("give one of --instances N and --add N")
    request = ScaleRequest(instances=instances, add=add)
    with connect(options) as client:
        if dry_run:
            plan = client.plan_scale(name, request)
            devices = {one.device for one in client.service(name).instances}
            show(options, plan, lambda one: _command(name, plan, one.ask, devices))
            return
        view = client.scale(name, request)
        if wait:
            view = wait_running(client, view)
    if options.json:
        emit(view)
    else:
        put(render.services((view,)))


def _command(name: str, plan: PlanView, ask: Ask, devices: set[str]) -> str | None:
    """What to type for fewer instances; any other change is no matter of scaling.

    Args:
        name: the service.
        plan: the one that does not fit.
        ask: what would fit in its place.
        devices: those that the service's instances are on.
    """
    as_it_is = (
        ask.context_length in (None, plan.context_length)
        and ask.slots in (None, plan.slots)
        and ask.engine in (None, plan.engine)
        and (ask.device is None or devices == {ask.device})
    )
    words = ("hydra-box", "scale", name, "--add", str(ask.instances))
    return shlex.join(words) if as_it_is else None
