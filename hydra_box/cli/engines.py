"""``hydra-box engines``."""

from __future__ import annotations

import click

from hydra_box.cli import render
from hydra_box.cli.connection import connect
from hydra_box.cli.downtime import unless_away
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, harmless, put, say
from hydra_box.cli.progress import Progress
from hydra_box.cli.verb import Verb, VerbGroup
from hydra_box.client import Client
from hydra_box.connection_faults import error_of
from hydra_box.errors import EngineUnavailable
from hydra_box.types import Runtime


@click.group(cls=VerbGroup, examples=("hydra-box engines list",))
@click.pass_context
def engines(ctx: click.Context) -> None:
    """List, install, verify, pin and remove engine runtimes."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_engines)


@engines.command("list", cls=Verb, examples=("hydra-box engines list --json",))
@click.pass_obj
def list_engines(options: Options) -> None:
    """List the runtimes: version, accelerator, where from, verified when, pinned."""
    with connect(options) as client:
        found = client.engines()
    if options.json:
        emit({"runtimes": found})
        return
    put(render.runtimes(found))
    for one in found:
        if one.problem:
            say(f"{one.id}: {one.problem}")


@engines.command(
    "install",
    cls=Verb,
    examples=("hydra-box engines install llama.cpp", "hydra-box engines install vllm"),
)
@click.argument("engine")
@click.pass_obj
def install(options: Options, engine: str) -> None:
    """Install ENGINE for this machine's GPUs, or for its CPU, and verify it: minutes.

    llama.cpp is built from its sources; vllm is fetched, some gigabytes of it.
    """
    with connect(options) as client, Progress() as progress:
        runtime = _follow_install(client, engine)
        progress.done(f"{runtime.id} is installed and verified")
    _show(options, runtime)


@engines.command(
    "verify", cls=Verb, examples=("hydra-box engines verify llama.cpp/bundled-0.1-cpu",)
)
@click.argument("runtime")
@click.pass_obj
def verify(options: Options, runtime: str) -> None:
    """Start RUNTIME on the demo model and see whether it answers."""
    with connect(options) as client, Progress() as progress:
        progress.show(f"{runtime}: starting it on the demo model")
        outcome = client.verify_engine(runtime)
    if outcome.problem:
        raise EngineUnavailable(f"{outcome.id} cannot be used: {outcome.problem}")
    _show(options, outcome)


@engines.command("pin", cls=Verb, examples=("hydra-box engines pin llama.cpp/bundled-0.1-cpu",))
@click.argument("runtime")
@click.option(
    "--allow-downtime", "--yes", is_flag=True, help="Also where nothing serves for a while."
)
@click.pass_obj
def pin(options: Options, runtime: str, allow_downtime: bool) -> None:
    """Use RUNTIME of its engine and no other.

    What runs on another one is replaced, each new instance before an old one ends, where there is
    room for both. If the new ones never get ready, the runtime before is pinned again. To go back
    to an older one, pin that.
    """
    with connect(options) as client:
        pinned = unless_away(
            options,
            lambda allowed: client.pin_engine(runtime, allow_downtime=allowed),
            allowed=allow_downtime,
        )
    _show(options, pinned)


@engines.command("unpin", cls=Verb, examples=("hydra-box engines unpin llama.cpp/bundled-0.1-cpu",))
@click.argument("runtime")
@click.pass_obj
def unpin(options: Options, runtime: str) -> None:
    """Let the box choose among the runtimes of RUNTIME's engine again; what runs stays as it is."""
    with connect(options) as client:
        _show(options, client.unpin_engine(runtime))


@engines.command("remove", cls=Verb, examples=("hydra-box engines remove llama.cpp/built-0.3-cpu",))
@click.argument("runtime")
@click.pass_obj
def remove(options: Options, runtime: str) -> None:
    """Remove RUNTIME, which was installed here."""
    with connect(options) as client:
        client.remove_engine(runtime)
    if options.json:
        emit({"removed": runtime})
    else:
        say(f"{runtime} is removed")


def _follow_install(client: Client, engine: str) -> Runtime:
    for step in client.install_engine(engine):
        if step.line is not None:
            say(harmless(step.line))
        if step.error is not None:
            raise error_of(step.error)
        if step.runtime is not None:
            return step.runtime
    raise EngineUnavailable(
        f"the installation of {engine} ended without a result",
        hint="the daemon's log may tell more: logs/daemon.log in the state directory",
    )


def _show(options: Options, runtime: Runtime) -> None:
    if options.json:
        emit(runtime)
    else:
        put(render.runtimes((runtime,)))
