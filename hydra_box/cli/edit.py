"""``hydra-box edit``."""

from __future__ import annotations

import shlex
from typing import TypedDict, Unpack

import click
from msgspec.structs import replace

from hydra_box.cli import render
from hydra_box.cli.connection import connect
from hydra_box.cli.downtime import unless_away
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say
from hydra_box.cli.plan import show
from hydra_box.cli.terms import Terms, price_of, terms_options
from hydra_box.cli.verb import Verb
from hydra_box.cli.waiting import wait_running
from hydra_box.messages import EditRequest, ServiceView
from hydra_box.types import CPU, Alternative, ServiceStatus

ANYWHERE = "auto"


class Edited(TypedDict):
    """The values of the options, as fields of an ``EditRequest``."""

    context_length: int | None
    concurrency: int | None
    engine: str | None
    quantization: str | None
    device: str | None
    revision: str | None
    allow_downtime: bool


class All(Edited, Terms):
    """The values of all options that say what to change."""


@click.command(
    cls=Verb,
    examples=(
        "hydra-box edit qwen2 --context-length 16384 --wait",
        "hydra-box edit qwen2 --concurrency 8 --dry-run",
        "hydra-box edit qwen2 --quantization Q8_0 --device auto",
        "hydra-box edit qwen2 --idle-timeout 15m --price-input 0.5 --price-output 1.5",
    ),
)
@click.argument("name")
@click.option("--context-length", type=int, metavar="TOKENS", help="Tokens each slot can hold.")
@click.option("--concurrency", type=int, metavar="SLOTS", help="Slots in one instance.")
@click.option("--engine", metavar="ENGINE", help="An engine's name.")
@click.option("--quantization", metavar="NAME", help="One that is on this machine, as Q4_K_M.")
@click.option(
    "--device",
    type=click.Choice([CPU, ANYWHERE]),
    help="On the CPU, although there may be a GPU; or wherever it fits.",
)
@click.option(
    "--revision",
    metavar="REVISION",
    help="Of its model on the hub: a branch, tag or commit that was pulled; main: the newest.",
)
@terms_options
@click.option(
    "--allow-downtime",
    "--yes",
    is_flag=True,
    help="Also where an old instance has to end first, and nothing serves for a while.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing; 10: no fit.")
@click.option("--wait", is_flag=True, help="Return when every instance runs like that.")
@click.pass_obj
def edit(options: Options, name: str, *, dry_run: bool, wait: bool, **asked: Unpack[All]) -> None:
    """Change how the service NAME runs; what is not given stays as it is.

    Its instances are replaced one after another: a new one starts before an old one finishes its
    requests and ends, where there is room for both. If the new ones never get ready, the service
    goes back to how it ran before. For an idle timeout, a priority or a price none is replaced.
    """
    request = EditRequest(
        context_length=asked["context_length"],
        concurrency=asked["concurrency"],
        engine=asked["engine"],
        quantization=asked["quantization"],
        device=asked["device"],
        revision=asked["revision"],
        idle_timeout_seconds=asked["idle_timeout"],
        price=price_of(asked),
        priority=asked["priority"],
        allow_downtime=asked["allow_downtime"],
    )
    if request == EditRequest():
        raise click.UsageError(
            "give at least one of --context-length, --concurrency, --engine, --quantization, "
            "--device, --revision, --idle-timeout, --priority, --price-input with --price-output "
            "or --allow-downtime"
        )
    with connect(options) as client:
        if dry_run:
            view = client.plan_edit(name, request)
            service = client.service(name)
            show(options, view, lambda one: _command(service, request, one))
            return
        service = unless_away(
            options,
            lambda allowed: client.edit(name, replace(request, allow_downtime=allowed)),
            allowed=request.allow_downtime,
        )
        is_stopped = service.status is ServiceStatus.STOPPED
        if wait and not is_stopped:
            service = wait_running(client, service)
    if options.json:
        emit(service)
        return
    put(render.services((service,)))
    if is_stopped:
        say(f"it is stopped, and will run like that; hydra-box start {service.name}")


def _command(service: ServiceView, request: EditRequest, alternative: Alternative) -> str | None:
    """The edit that makes of a service what fits in the place of what does not; None: none does.

    An edit says all: it neither leaves sizes to the plan nor changes the number of instances.
    """
    ask = alternative.ask
    sizes = (ask.context_length, ask.slots)
    if None in sizes or ask.instances != service.desired_instances or alternative.model:
        return None
    words = ["hydra-box", "edit", service.name]
    for option, value, present in (
        ("--context-length", ask.context_length, service.context_length),
        ("--concurrency", ask.slots, service.slots),
        ("--engine", ask.engine, service.engine),
        ("--quantization", ask.quantization, service.quantization),
        ("--device", CPU if ask.device == CPU else request.device, None),
        ("--revision", request.revision, None),
    ):
        if value not in (None, present):
            words += [option, str(value)]
    return shlex.join(words)
