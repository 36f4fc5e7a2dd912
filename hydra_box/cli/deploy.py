"""``hydra-box deploy``."""

from __future__ import annotations

from pathlib import Path

import click

from hydra_box.cli import render, waiting
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say
from hydra_box.cli.verb import Verb
from hydra_box.messages import DeployRequest


@click.command(
    cls=Verb,
    examples=(
        "hydra-box deploy demo --wait",
        "hydra-box deploy ./qwen2.gguf --name qwen2 --instances 2 --context-length 8192",
    ),
)
@click.argument("model")
@click.option("--name", metavar="NAME", help="The service's name [default: made from MODEL].")
@click.option("--public", is_flag=True, help="Shared by every user's keys: public/NAME.")
@click.option("--instances", type=int, default=1, show_default=True, help="Engine processes.")
@click.option("--context-length", type=int, metavar="TOKENS", help="Tokens each slot can hold.")
@click.option("--concurrency", type=int, metavar="SLOTS", help="Slots in one instance.")
@click.option("--engine", metavar="ENGINE", help="An engine's name [default: chosen].")
@click.option("--wait", is_flag=True, help="Return when it is RUNNING; status 7 if it FAILED.")
@click.pass_obj
def deploy(  # noqa: PLR0913 - one an option
    options: Options,
    model: str,
    *,
    name: str | None,
    public: bool,
    instances: int,
    context_length: int | None,
    concurrency: int | None,
    engine: str | None,
    wait: bool,
) -> None:
    """Deploy MODEL as a service: a catalog id (see `models list`) or the path of a GGUF file."""
    request = DeployRequest(
        model=model if options.url else absolute(model),
        name=name,
        public=public,
        instances=instances,
        context_length=context_length,
        concurrency=concurrency,
        engine=engine,
    )
    with connect(options) as client:
        view = waiting.deploy(client, request)
        if wait:
            view = waiting.wait_running(client, view)
    if options.json:
        emit(view)
        return
    put(render.services((view,)))
    if not wait:
        say(f"being deployed; hydra-box status shows it, hydra-box trial {view.name} tries it")


def absolute(model: str) -> str:
    """A path as the daemon, which has another working directory, must see it."""
    if "/" in model or model.endswith(".gguf"):
        return str(Path(model).expanduser().absolute())
    return model
