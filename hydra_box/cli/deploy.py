"""``hydra-box deploy``."""

from __future__ import annotations

from typing import Unpack

import click

from hydra_box.cli import render, waiting
from hydra_box.cli.asked import Asked, absolute, deploy_command, plan_options, wanted
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say
from hydra_box.cli.plan import show
from hydra_box.cli.terms import Terms, price_of, terms_options
from hydra_box.cli.upstream_options import Named, request_of, says_anything, upstream_options
from hydra_box.cli.verb import Verb
from hydra_box.messages import DeployRequest, UpstreamRequest


class Deployed(Asked, Terms, Named):
    """The values of all the options that more than one verb has."""

    upstream: str | None


@click.command(
    cls=Verb,
    examples=(
        "hydra-box deploy demo --cpu --wait",
        "hydra-box deploy ./qwen2.gguf --name qwen2 --instances 2 --context-length 8192",
        "hydra-box deploy hf:Qwen/Qwen3-8B-GGUF:Q4_K_M --wait",
        "hydra-box deploy qwen3-8b --engine llama.cpp --quantization Q4_K_M --dry-run",
        "hydra-box deploy qwen3-8b --user anna --idle-timeout 15m",
        "hydra-box deploy r1 --public --upstream https://api.example.com/v1 --upstream-model r1",
    ),
)
@click.argument("model")
@click.option("--name", metavar="NAME", help="The service's name [default: made from MODEL].")
@click.option("--public", is_flag=True, help="Shared by every user's keys: public/NAME.")
@click.option("--user", metavar="USER", help="Whose it is: a name or id [default: the owner].")
@plan_options
@terms_options
@click.option(
    "--upstream",
    metavar="URL",
    help="A remote OpenAI-compatible endpoint that serves it, in the place of this machine.",
)
@upstream_options("upstream-")
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing; 10: no fit.")
@click.option("--wait", is_flag=True, help="Return when it is RUNNING; status 7 if it FAILED.")
@click.pass_obj
def deploy(
    options: Options,
    model: str,
    *,
    name: str | None,
    public: bool,
    user: str | None,
    dry_run: bool,
    wait: bool,
    **asked: Unpack[Deployed],
) -> None:
    """Deploy MODEL as a service: a catalog id (see `models list`), hf:org/repo, or a path.

    What is not asked for is chosen; `plan` and --dry-run show it before. The price is the
    catalog's, where it has one.
    """
    upstreams = _upstreams(asked)
    model = model if options.url or upstreams else absolute(model)
    request = DeployRequest(
        model=model,
        name=name,
        public=public,
        user=user,
        upstreams=upstreams,
        idle_timeout_seconds=asked["idle_timeout"] or None,
        price=price_of(asked),
        priority=asked["priority"] or 0,
        **wanted(asked),
    )
    with connect(options) as client:
        if dry_run:
            more = (*(("--name", name) if name else ()), *(("--public",) if public else ()))
            view = client.plan_deploy(request)
            show(options, view, lambda one: deploy_command(model, one, more))
            return
        service = waiting.deploy(client, request)
        if wait:
            service = waiting.wait_running(client, service)
    if options.json:
        emit(service)
        return
    put(render.services((service,)))
    if not wait:
        say(f"being deployed; hydra-box status shows it, hydra-box trial {service.name} tries it")


def _upstreams(asked: Deployed) -> tuple[UpstreamRequest, ...]:
    if asked["upstream"] is not None:
        return (request_of(asked["upstream"], asked),)
    if says_anything(asked):
        raise click.UsageError("give the upstream's address: --upstream URL")
    return ()
