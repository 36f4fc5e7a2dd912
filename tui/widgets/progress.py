"""How far a download is, on one line."""

from __future__ import annotations

from typing import Final

from textual.content import Content

from hydra_box.messages import DownloadView
from hydra_box.shown.numbers import duration, size
from hydra_box.types import DownloadState, Transfer
from tui.words import DOWNLOAD_MARKS

_WIDTH: Final = 20


def bar(done: int, total: int, width: int = _WIDTH) -> Content:
    """A bar of so many characters."""
    filled = width if not total else min(width, done * width // total)
    return Content.assemble(("█" * filled, "$primary"), ("░" * (width - filled), "$foreground 40%"))


def transfer_text(transfer: Transfer) -> str:
    """``1.2 GiB of 4.0 GiB, 30 %, 12.0 MiB/s, 4 min 2 s left``."""
    percent = transfer.done_bytes * 100 // transfer.total_bytes if transfer.total_bytes else 100
    words = [f"{size(transfer.done_bytes)} of {size(transfer.total_bytes)}", f"{percent} %"]
    if transfer.bytes_per_second:
        words.append(f"{size(transfer.bytes_per_second)}/s")
    if transfer.remaining_seconds is not None:
        words.append(f"{duration(transfer.remaining_seconds)} left")
    return ", ".join(words)


def download_line(view: DownloadView) -> Content:
    """State, bar and figures of a download; and why, where it does not move."""
    told = transfer_text(view.transfer)
    if view.state is not DownloadState.DOWNLOADING and view.reason:
        told = view.reason.partition("; hint: ")[0]
    return Content.assemble(
        f"{DOWNLOAD_MARKS[view.state]} {view.state.value} ",
        bar(view.transfer.done_bytes, view.transfer.total_bytes),
        f" {told}",
    )
