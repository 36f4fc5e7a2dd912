"""``hydra-box plan``; and what the dry runs of other verbs print, which is the same."""

from __future__ import annotations

from typing import Unpack

import click

from hydra_box.cli import render_plan
from hydra_box.cli.asked import Asked, absolute, deploy_command, plan_options, wanted
from hydra_box.cli.connection import connect
from hydra_box.cli.memory_bar import glyphs
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put
from hydra_box.cli.verb import Verb
from hydra_box.errors import DoesNotFit, EngineUnavailable
from hydra_box.messages import PlanRequest, PlanView


@click.command(
    cls=Verb,
    examples=(
        "hydra-box plan demo",
        "hydra-box plan qwen3-8b --instances 2 --context-length 32768",
        "hydra-box plan ./qwen2.gguf --cpu --json",
    ),
)
@click.argument("model")
@plan_options
@click.pass_obj
def plan(options: Options, model: str, **asked: Unpack[Asked]) -> None:
    """Show what would run where for MODEL, with how much memory, and why; nothing is changed.

    Status 10 says that it does not fit; then what is missing and what would fit are shown.
    """
    model = model if options.url else absolute(model)
    with connect(options) as client:
        view = client.plan(PlanRequest(model=model, **wanted(asked)))
    show(options, view, lambda one: deploy_command(model, one))


def show(options: Options, view: PlanView, command: render_plan.Command) -> None:
    """Print a plan, and end with the status that says whether it fits.

    Args:
        options: whether JSON is wanted.
        view: the plan.
        command: the command line that asks for an alternative.
    """
    if options.json:
        emit(view)
    else:
        put(render_plan.plan(view, glyphs(), command))
    if not view.fits:
        refusal = DoesNotFit if view.missing else EngineUnavailable
        click.get_current_context().exit(refusal.exit_code)
