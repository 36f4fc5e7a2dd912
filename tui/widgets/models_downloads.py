"""The downloads: how far each is, on one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hydra_box.messages import DownloadView
from hydra_box.shown.numbers import duration, size
from hydra_box.shown.text import harmless
from hydra_box.types import DownloadState
from tui.widgets.live_table import Column, LiveTable, Row, Tinted
from tui.widgets.models_table import row_text
from tui.words import DOWNLOAD_MARKS

_BAR: Final = 10
_COLUMNS: Final = (
    Column(id="state", title="DOWNLOAD", width=13),
    Column(id="model", title="MODEL", width=14, stretches=True),
    Column(id="progress", title="PROGRESS", width=_BAR + 6),
    Column(id="bytes", title="BYTES", width=22, from_width=100, right=True),
    Column(id="speed", title="SPEED", width=11, right=True),
    Column(id="left", title="LEFT", width=11, right=True),
    Column(id="services", title="FOR", width=12, from_width=100),
)
_TONES: Final = {
    DownloadState.QUEUED: "dim",
    DownloadState.DOWNLOADING: "warning",
    DownloadState.PAUSED: "dim",
    DownloadState.DONE: "success",
    DownloadState.FAILED: "error",
}
UNDER_WAY: Final = (DownloadState.QUEUED, DownloadState.DOWNLOADING)


class DownloadsTable(LiveTable):
    """Those that are not over first, then the others, the newest of each on top."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, id="downloads")

    def show_downloads(self, views: Iterable[DownloadView], words: str) -> None:
        """Show these."""
        ordered = sorted(views, key=lambda one: (one.state is DownloadState.DONE, -one.created_at))
        rows = {view.id: _row(view) for view in ordered}
        self.show({key: row for key, row in rows.items() if words in row_text(row)})


def summary(views: Iterable[DownloadView]) -> str:
    """How many go on, and how fast all of them together."""
    moving = [one for one in views if one.state is DownloadState.DOWNLOADING]
    speed = sum(one.transfer.bytes_per_second for one in moving)
    return f"{len(moving)} under way, {size(speed)}/s" if moving else "none is under way"


def _row(view: DownloadView) -> Row:
    transfer, moves = view.transfer, view.state is DownloadState.DOWNLOADING
    left = transfer.remaining_seconds
    return {
        "state": Tinted(
            text=f"{DOWNLOAD_MARKS[view.state]} {view.state.value}", tone=_TONES[view.state]
        ),
        "model": harmless(view.model),
        "progress": Tinted(text=_bar(transfer.done_bytes, transfer.total_bytes), tone="primary"),
        "bytes": f"{size(transfer.done_bytes)} of {size(transfer.total_bytes)}",
        "speed": f"{size(transfer.bytes_per_second)}/s" if moves else "-",
        "left": duration(left) if moves and left is not None else "-",
        "services": ", ".join(view.services) or "-",
    }


def _bar(done: int, total: int) -> str:
    """What has begun has a block of its own; only what is whole fills the bar."""
    filled = _BAR if done >= total else max(done * _BAR // total, 1 if done else 0)
    percent = min(100, done * 100 // total) if total else 100
    return f"{'█' * filled}{'░' * (_BAR - filled)} {percent:>3} %"
