"""A model or a download in full: in the pane below the tables, and in the box that Enter opens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from textual.content import Content

from hydra_box.messages import DownloadView, StoredModelView
from hydra_box.shown.numbers import count, size
from hydra_box.shown.text import harmless
from hydra_box.types import DownloadState, ModelFile
from tui.widgets.models_words import KEPT_AS_IN_FULL, PAIR, clip_start, pair, troubles
from tui.widgets.progress import bar, transfer_text
from tui.words import DOWNLOAD_MARKS, ago

_SHOWN_DIGITS: Final = 12
_SHA256_DIGITS: Final = 64


def model_lines(
    view: StoredModelView, now: float, *, most_files: int | None, width: int = 0
) -> Iterator[Content]:
    """A model of the library.

    Args:
        view: the model.
        now: Unix time.
        most_files: to tell of; None: all, with the whole of their checksums.
        width: of a line, for what would fill many; 0: whatever it takes.
    """
    words = [view.format.value, *([view.quantization] if view.quantization else [])]
    yield Content.assemble(
        (harmless(view.name), "bold"),
        f"  {' '.join(words)}, {size(view.size_bytes)} in {count(len(view.files), 'file')}",
    )
    if view.problem:
        yield from troubles(view.problem)
    yield pair(
        "services",
        f"{', '.join(view.services) or 'none'}; last started: {ago(view.last_used_at, now)}",
    )
    yield pair(
        "verified", f"{ago(view.verified_at, now)}; on this machine since {ago(view.added_at, now)}"
    )
    yield pair("kept", KEPT_AS_IN_FULL[view.stored_as])
    yield pair("path", clip_start(view.path, width - PAIR) if width else view.path)
    if view.repository:
        yield _source(view.repository, view.revision, whole=most_files is None)
    if view.allows_code:
        yield pair("code", "its Python code runs as the box's user")
    yield from _files(view.files, most_files)


def download_lines(view: DownloadView, now: float, *, most_files: int | None) -> Iterator[Content]:
    """A download; ``most_files`` as ``model_lines`` has it."""
    transfer = view.transfer
    yield Content.assemble(
        (harmless(view.model), "bold"), f"  {DOWNLOAD_MARKS[view.state]} {view.state.value}"
    )
    yield Content.assemble(
        bar(transfer.done_bytes, transfer.total_bytes), f" {transfer_text(transfer)}"
    )
    if view.reason:
        yield from troubles(view.reason)
    if view.state is DownloadState.PAUSED:
        yield Content("  what has arrived is kept: space goes on from there")
    if view.services:
        yield pair("services", f"{', '.join(view.services)} cannot start before it is here")
    started = f"asked for {ago(view.created_at, now)}"
    ended = "" if view.finished_at is None else f", finished {ago(view.finished_at, now)}"
    yield pair("download", f"{view.id}, {started}{ended}")
    yield _source(view.repository, view.revision, whole=most_files is None)
    yield from _files(view.files, most_files)


def nothing_lines(*, was_read: bool, others: bool) -> Iterator[Content]:
    """When no row is selected; ``others``: there are some that the filter hides."""
    if not was_read:
        yield Content("the library is shown once the daemon answers")
    elif others:
        yield Content("No row has these words: / and escape drop the filter.")
    else:
        yield Content.styled("No models on this machine's disks yet.", "bold")
        yield Content("p  pulls one from the hub: a catalog id, or hf:org/repo")
        yield Content("i  imports files that are here, also those of other programs")
        yield Content("d  deploys one: what is missing is fetched; the demo model is built in")


def _source(repository: str, revision: str | None, *, whole: bool) -> Content:
    digits = (revision or "-") if whole else (revision or "-")[:_SHOWN_DIGITS]
    return pair("repository", f"{repository} at {digits}")


def _files(files: Sequence[ModelFile], most: int | None) -> Iterator[Content]:
    for one in files[:most]:
        yield pair("file", f"{one.name}  {size(one.size_bytes)}  {_digest(one, most is None)}")
    if most is not None and len(files) > most:
        yield pair("", f"and {count(len(files) - most, 'more file')}: Enter shows all")


def _digest(file: ModelFile, whole: bool) -> str:
    if file.digest is None:
        return "no checksum yet: v makes one"
    kind = "SHA-256" if len(file.digest) == _SHA256_DIGITS else "git SHA-1"
    return f"{kind} {file.digest if whole else file.digest[:_SHOWN_DIGITS] + '…'}"
