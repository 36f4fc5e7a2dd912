"""``hydra-box models pull|downloads|pause|resume|cancel|stored|verify|remove|import|scan``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from hydra_box.cli import render_stored, waiting
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say
from hydra_box.cli.progress import Progress
from hydra_box.cli.verb import Verb
from hydra_box.errors import InvalidModel
from hydra_box.messages import ImportRequest, PullRequest
from hydra_box.shown.numbers import size


@click.command(
    "pull",
    cls=Verb,
    examples=(
        "hydra-box models pull qwen3-8b",
        "hydra-box models pull hf:Qwen/Qwen3-8B-GGUF:Q4_K_M",
        "hydra-box models pull hf:Qwen/Qwen3-8B@main --engine vllm --no-wait",
    ),
)
@click.argument("model")
@click.option("--quantization", metavar="NAME", help="One of those on offer, as Q4_K_M or BF16.")
@click.option("--engine", metavar="ENGINE", help="Fetch what this engine reads.")
@click.option(
    "--allow-code",
    is_flag=True,
    help="Fetch Python code that the model brings, too: an engine runs it as you.",
)
@click.option("--no-wait", is_flag=True, help="Return at once; `models downloads` shows it.")
@click.pass_obj
def pull(
    options: Options,
    model: str,
    *,
    quantization: str | None,
    engine: str | None,
    allow_code: bool,
    no_wait: bool,
) -> None:
    """Fetch MODEL from the hub: a catalog id, or hf:org/repo[:FILE or QUANTISATION][@REVISION].

    What is not asked for is chosen as `deploy` would. Ctrl-C leaves the download going.
    """
    request = PullRequest(
        model=model, quantization=quantization, engine=engine, allow_code=allow_code
    )
    with connect(options) as client:
        with Progress() as progress:
            progress.show(f"asking the hub about {model}")
            view = client.pull(request)
        if not no_wait:
            view = waiting.wait_fetched(client, view)
    if options.json:
        emit(view)
    elif no_wait:
        put(render_stored.downloads((view,)))


@click.command("downloads", cls=Verb, examples=("hydra-box models downloads --json",))
@click.pass_obj
def downloads(options: Options) -> None:
    """List the downloads: those that wait, run, are paused, failed, or are done."""
    with connect(options) as client:
        found = client.downloads()
    if options.json:
        emit({"downloads": found})
    else:
        put(render_stored.downloads(found))


@click.command("pause", cls=Verb, examples=("hydra-box models pause dl-0123456789ab",))
@click.argument("download")
@click.pass_obj
def pause(options: Options, download: str) -> None:
    """Stop DOWNLOAD (its id, or its MODEL) and keep what has arrived."""
    with connect(options) as client:
        view = client.pause_download(download)
    if options.json:
        emit(view)
    else:
        put(render_stored.downloads((view,)))


@click.command("resume", cls=Verb, examples=("hydra-box models resume dl-0123456789ab",))
@click.argument("download")
@click.option("--wait", is_flag=True, help="Return when it is done.")
@click.pass_obj
def resume(options: Options, download: str, *, wait: bool) -> None:
    """Go on with DOWNLOAD (its id, or its MODEL), which is paused or has failed."""
    with connect(options) as client:
        view = client.resume_download(download)
        if wait:
            view = waiting.wait_fetched(client, view)
    if options.json:
        emit(view)
    else:
        put(render_stored.downloads((view,)))


@click.command("cancel", cls=Verb, examples=("hydra-box models cancel dl-0123456789ab",))
@click.argument("download")
@click.pass_obj
def cancel(options: Options, download: str) -> None:
    """Give DOWNLOAD (its id, or its MODEL) up and remove what has arrived.

    One that is done is only taken off the list: its model stays.
    """
    with connect(options) as client:
        client.cancel_download(download)
    if options.json:
        emit({"cancelled": download})
    else:
        say(f"the download {download} is no more")


@click.command("stored", cls=Verb, examples=("hydra-box models stored --json",))
@click.pass_obj
def stored(options: Options) -> None:
    """List the models on the disk: size, who uses them, when last, and whether they are whole."""
    with connect(options) as client:
        found = client.library()
    if options.json:
        emit({"models": found})
        return
    put(render_stored.library(found))
    for one in found:
        if one.problem:
            say(f"{one.name}: {one.problem}")


@click.command("verify", cls=Verb, examples=("hydra-box models verify hf:org/repo:Q8_0",))
@click.argument("name")
@click.pass_obj
def verify(options: Options, name: str) -> None:
    """Compare every file of the model NAME with its checksum; status 2 if one differs."""
    with connect(options) as client, Progress() as progress:
        progress.show(f"{name}: reading every file")
        view = client.verify_model(name)
    if view.problem:
        raise InvalidModel(f"{view.name} is damaged: {view.problem}", hint=_mend(view.name))
    if options.json:
        emit(view)
    else:
        put(render_stored.library((view,)))


@click.command("remove", cls=Verb, examples=("hydra-box models remove hf:org/repo:Q8_0",))
@click.argument("name")
@click.pass_obj
def remove(options: Options, name: str) -> None:
    """Remove the model NAME from the disk; one that was imported by reference is forgotten.

    A model that a service uses is not removed.
    """
    with connect(options) as client:
        removed = client.remove_model(name)
    if options.json:
        emit(removed)
    else:
        say(f"{removed.name} is removed: {size(removed.freed_bytes)} are free again")


@click.command(
    "import",
    cls=Verb,
    examples=(
        "hydra-box models import ./qwen2-Q8_0.gguf",
        "hydra-box models import /mnt/models/Qwen3-8B --copy --name qwen3",
    ),
)
@click.argument("path")
@click.option("--copy", is_flag=True, help="Copy the files; else they are used where they are.")
@click.option("--name", metavar="NAME", help="What deploys it [default: made from PATH].")
@click.option("--projector", metavar="FILE", help="Its vision projector, where it lies apart.")
@click.pass_obj
def import_(
    options: Options, path: str, *, copy: bool, name: str | None, projector: str | None
) -> None:
    """Take PATH into the library: a GGUF file (the first of several) or a safetensors directory."""
    request = ImportRequest(
        path=_absolute(path, options),
        copy=copy,
        name=name,
        projector=None if projector is None else _absolute(projector, options),
    )
    with connect(options) as client, Progress() as progress:
        progress.show(f"importing {path}")
        view = client.import_model(request)
    if options.json:
        emit(view)
    else:
        put(render_stored.library((view,)))
        say(f"hydra-box deploy {view.name} serves it")


@click.command("scan", cls=Verb, examples=("hydra-box models scan",))
@click.pass_obj
def scan(options: Options) -> None:
    """Find models that other programs have on this machine: Ollama, LM Studio, the hub's cache."""
    with connect(options) as client, Progress() as progress:
        progress.show("looking through the other programs' folders")
        found = client.found_models()
    if options.json:
        emit({"models": found})
    else:
        put(render_stored.found(found))


COMMANDS: Final = (
    *(pull, downloads, pause, resume, cancel),
    *(stored, verify, remove, import_, scan),
)
"""The verbs of ``hydra-box models`` that are about files."""


def _absolute(path: str, options: Options) -> str:
    """A path as the daemon must see it; that of a box elsewhere is taken as it is."""
    return path if options.url else str(Path(path).expanduser().absolute())


def _mend(name: str) -> str:
    if name.startswith("hf:"):
        return f"hydra-box models remove {name}, then hydra-box models pull {name}"
    return "get its files again from where they came"
