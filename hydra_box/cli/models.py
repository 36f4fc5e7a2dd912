"""``hydra-box models``."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Final

import click

from hydra_box.cli import render_stored, stored
from hydra_box.cli.asked import absolute
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, is_terminal, put, style, table
from hydra_box.cli.verb import Verb, VerbGroup
from hydra_box.messages import ModelView, StoredModelView
from hydra_box.types import Hosting, Modality

WIDTH: Final = 100
"""Columns of the list on a terminal that has no more."""
_HOSTING: Final[dict[tuple[Hosting, ...], str]] = {
    (Hosting.MAAS_BY_TOKEN,): "token",
    (Hosting.MODEL_SERVICE,): "service",
}


@click.group(cls=VerbGroup, examples=("hydra-box models list", "hydra-box models show qwen3-8b"))
@click.pass_context
def models(ctx: click.Context) -> None:
    """Base models: the catalog, what this box would do with each, and the files on the disk."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@models.command(
    "list",
    cls=Verb,
    examples=("hydra-box models list --fits --modality text", "hydra-box models list --json"),
)
@click.option("--fits", is_flag=True, help="Only those that fit on this box now.")
@click.option("--modality", type=click.Choice([one.value for one in Modality]))
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@click.pass_obj
def list_models(
    options: Options, fits: bool = False, modality: str | None = None, tag: str | None = None
) -> None:
    """List the catalog: for each model what this box would do with it, and who uses it."""
    with connect(options) as client:
        found = [
            view
            for view in client.models()
            if (not fits or view.fits)
            and modality in (None, view.modality)
            and (tag is None or tag in view.tags)
        ]
    if options.json:
        emit({"models": found})
    else:
        put(catalog_table(found, terminal_width()))


@models.command("show", cls=Verb, examples=("hydra-box models show qwen3-8b",))
@click.argument("id")
@click.pass_obj
def show(options: Options, id: str) -> None:
    """Show all that is known of the model ID: of the catalog, the hub, the library, or a path."""
    with connect(options) as client:
        view = client.model(id if options.url else absolute(id))
        here = [one for one in client.library() if id == one.name or _is_of(one, view)]
    if options.json:
        emit(view)
        return
    put(_page(view))
    if here:
        put(f"\n{render_stored.library(here)}")


def _is_of(stored: StoredModelView, view: ModelView) -> bool:
    """Whether files on the disk are of one of a model's repositories."""
    return stored.repository is not None and stored.repository in view.repositories


for _command in stored.COMMANDS:
    models.add_command(_command)


def terminal_width() -> int | None:
    """Columns that a line may have; None: nobody folds it, as it goes into a file or a pipe."""
    if not is_terminal(sys.stdout):
        return None
    return max(WIDTH, shutil.get_terminal_size().columns)


def catalog_table(views: Sequence[ModelView], width: int | None) -> str:
    """A line for each model; below it the services that use it, if there are any."""
    if not views:
        return "no model of the catalog is like that"
    served = [_served(view) for view in views if view.fits]
    widths = [max(map(len, column)) for column in zip(*served, strict=True)]
    headers = ("ID", "PARAMS", "CONTEXT", "HOSTING", "ON THIS BOX")
    rows = [
        [
            view.id,
            "-" if view.parameters is None else parameters(view.parameters),
            tokens(view.context_length),
            _HOSTING.get(view.hosting, "both"),
            " ".join(map(str.ljust, _served(view), widths)).rstrip() if view.fits else "",
        ]
        for view in views
    ]
    columns = list(zip(headers, *rows, strict=True))[:-1]
    room = (width or 0) - sum(2 + max(map(len, column)) for column in columns)
    for view, row in zip(views, rows, strict=True):
        if not view.fits:
            reason = f"no: {view.reason}"
            row[-1] = style(reason if width is None else cut(reason, room), dim=True)
    head, *lines = table(headers, rows, right=(1, 2)).splitlines()
    for view, line in zip(views, lines, strict=True):
        head += f"\n{line}"
        if view.services:
            served_by = f"  services: {', '.join(view.services)}"
            head += "\n" + style(served_by if width is None else cut(served_by, width), fg="cyan")
    return head


def cut(text: str, width: int) -> str:
    """A text that is too wide ends in dots."""
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _served(view: ModelView) -> tuple[str, str, str, str]:
    """What this box would do with a model that fits."""
    return (
        view.engine.value if view.engine else "-",
        view.quantization or "-",
        _where(view.device or "-"),
        "-" if view.planned_context_length is None else tokens(view.planned_context_length),
    )


def _where(device: str) -> str:
    """Devices without their names: ``CPU``, ``GPU``, ``2 GPUs+CPU``."""
    gpus, plus, _ = device.partition(" + CPU")
    if gpus in ("CPU", "-"):
        return gpus
    number, times, _ = gpus.partition(" x ")
    word = f"{number} GPUs" if times and number.isdecimal() else "GPU"
    return f"{word}+CPU" if plus else word


def _page(view: ModelView) -> str:
    active = f", {parameters(view.active_parameters)} active" if view.active_parameters else ""
    engine, quantization, _, context = _served(view)
    here = f"{engine} {quantization} on {view.device}, {context} of context"
    versions = [f"{engine} from {oldest}" for engine, oldest in view.minimum_versions.items()]
    rows = (
        ("name", view.name),
        ("modality", view.modality.value),
        ("parameters", "-" if view.parameters is None else parameters(view.parameters) + active),
        ("context", f"{view.context_length:,} tokens" if view.context_length else "-"),
        ("publisher", view.publisher or "-"),
        ("license", (view.license or "-") + (", to be accepted on the hub" if view.gated else "")),
        ("tags", ", ".join(view.tags) or "-"),
        ("hosting", ", ".join(view.hosting) or "-"),
        ("price", _price(view)),
        ("engines", ", ".join(versions) or "-"),
        ("on the hub", ", ".join(view.repositories) or "-"),
        ("on offer", ", ".join(view.quantizations) or "-"),
        ("files", "on this machine" if view.on_disk else "to be fetched"),
        ("services", ", ".join(view.services) or "none"),
        ("this box", here if view.fits else style("no", fg="red")),
        ("", view.reason),
    )
    lines = [style(view.id, bold=True), *([view.description] if view.description else []), ""]
    for word, text in rows:
        mark = f"{word:<12}"
        lines.append(
            textwrap.fill(
                text,
                WIDTH,
                initial_indent=mark,
                subsequent_indent=" " * len(mark),
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    return "\n".join(
        (*lines, "", f"hydra-box plan {view.id} shows where, and with how much memory")
    )


def _price(view: ModelView) -> str:
    read, written = view.price_per_million_input_tokens, view.price_per_million_output_tokens
    if read is None or written is None:
        return "-"
    return f"{read:g} for a million tokens read, {written:g} written"


def parameters(number: int) -> str:
    """A number of parameters as the field writes it: ``7.6 B``."""
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return str(number)


def tokens(number: int) -> str:
    """A context length as the field writes it: ``128k`` for 131,072, and 128,000 in full."""
    if number == 0:
        return "-"
    is_binary = number % 1024 == 0 and number % 1000 != 0
    return f"{number // 1024}k" if is_binary else f"{number:,}"
