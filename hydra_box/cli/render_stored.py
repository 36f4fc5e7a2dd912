"""The tables of downloads, of the library, and of what other programs have."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from hydra_box.cli import transfer_bar
from hydra_box.cli.output import ago, style, table
from hydra_box.messages import DownloadView, StoredModelView
from hydra_box.shown.numbers import size
from hydra_box.types import DownloadState, FoundModel

_COLOURS = {
    DownloadState.DOWNLOADING: "yellow",
    DownloadState.DONE: "green",
    DownloadState.FAILED: "red",
}


def downloads(views: Sequence[DownloadView]) -> str:
    """One line a download; below it why it does not go on, if it does not."""
    if not views:
        return "no downloads; hydra-box models pull MODEL starts one"
    headers = ("DOWNLOAD", "STATE", "PROGRESS", "MODEL")
    rows = [
        (
            view.id,
            style(view.state.value, fg=_COLOURS.get(view.state)),
            f"{transfer_bar.bar(view.transfer)} {transfer_bar.amounts(view.transfer)}",
            view.model,
        )
        for view in views
    ]
    head, *lines = table(headers, rows).splitlines()
    for view, line in zip(views, lines, strict=True):
        head += f"\n{line}"
        if view.reason:
            head += f"\n  {view.reason}"
        if view.services:
            head += "\n" + style(f"  services: {', '.join(view.services)}", fg="cyan")
    return head


def library(views: Sequence[StoredModelView]) -> str:
    """One line a model."""
    if not views:
        return "no models yet; hydra-box models pull MODEL fetches one, models scan finds some"
    headers = ("NAME", "SIZE", "QUANT", "KEPT AS", "SERVICES", "LAST USED", "VERIFIED")
    rows = [
        (
            view.name,
            size(view.size_bytes),
            view.quantization or "-",
            view.stored_as.value,
            ", ".join(view.services) or "-",
            ago(view.last_used_at),
            style("damaged", fg="red") if view.problem else ago(view.verified_at),
        )
        for view in views
    ]
    return table(headers, rows, right=(1,))


def found(models: Sequence[FoundModel]) -> str:
    """Two lines a model: what it is, and the command that imports it."""
    if not models:
        return "no models of other programs were found on this machine"
    headers = ("MODEL", "FROM", "QUANT", "SIZE")
    rows = [(one.name, one.source, one.quantization or "-", size(one.size_bytes)) for one in models]
    head, *lines = table(headers, rows, right=(3,)).splitlines()
    for one, line in zip(models, lines, strict=True):
        head += f"\n{line}\n" + style(f"  {_how_to_import(one)}", dim=True)
    return head


def _how_to_import(one: FoundModel) -> str:
    if one.in_library:
        return "is in the library"
    words = ["hydra-box", "models", "import", one.path]
    if not one.name.startswith("hf:"):
        words += ["--name", one.name]
    if one.projector:
        words += ["--projector", one.projector]
    return shlex.join(words)
