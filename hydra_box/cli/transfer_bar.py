"""How far a download is, in one line: a bar, bytes, speed and the time that is left."""

from __future__ import annotations

from typing import Final

from hydra_box.messages import DownloadView
from hydra_box.shown.numbers import duration, size
from hydra_box.types import DownloadState, Transfer

WIDTH: Final = 20
"""Cells of the bar."""


def bar(transfer: Transfer) -> str:
    """``[########............]  40 %``; readable without colour and on every terminal."""
    share = transfer.done_bytes / transfer.total_bytes if transfer.total_bytes else 1.0
    full = int(share * WIDTH)
    return f"[{'#' * full}{'.' * (WIDTH - full)}] {int(share * 100):3} %"


def amounts(transfer: Transfer) -> str:
    """``1.2 GiB of 4.3 GiB, 85.0 MiB/s, 37 s left``."""
    words = [f"{size(transfer.done_bytes)} of {size(transfer.total_bytes)}"]
    if transfer.bytes_per_second >= 1:
        words.append(f"{size(transfer.bytes_per_second)}/s")
    if transfer.remaining_seconds is not None and transfer.done_bytes < transfer.total_bytes:
        words.append(f"{duration(transfer.remaining_seconds)} left")
    return ", ".join(words)


def line(view: DownloadView) -> str:
    """The download in one line."""
    told = f": {view.reason}" if view.reason else ""
    if view.state in (DownloadState.QUEUED, DownloadState.PAUSED):
        return f"{bar(view.transfer)} {view.state}, {amounts(view.transfer)}{told}"
    return f"{bar(view.transfer)} {amounts(view.transfer)}{told}"
