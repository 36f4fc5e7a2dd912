"""The library: every model on the box's disks, on one line."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from hydra_box.messages import StoredModelView
from hydra_box.shown.numbers import size
from hydra_box.shown.text import harmless
from tui.widgets.live_table import Cell, Column, LiveTable, Row, Tinted
from tui.widgets.models_words import KEPT_AS
from tui.words import ago

_COLUMNS: Final = (
    Column(id="name", title="MODEL", width=18, stretches=True),
    Column(id="format", title="FORMAT", width=11, from_width=100),
    Column(id="quantization", title="QUANT", width=8),
    Column(id="size", title="SIZE", width=9, right=True),
    Column(id="kept", title="KEPT", width=9, from_width=100),
    Column(id="services", title="USED BY", width=12),
    Column(id="verified", title="VERIFIED", width=12),
    Column(id="used", title="LAST USED", width=10, from_width=100),
)


class LibraryTable(LiveTable):
    """The models that have the words of the filter, by name."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, id="library")

    def show_models(
        self, views: Iterable[StoredModelView], verifying: Set[str], words: str, now: float
    ) -> None:
        """Show these models; those with ids in ``verifying`` are being read now."""
        rows = {view.id: _row(view, view.id in verifying, now) for view in views}
        self.show({key: row for key, row in rows.items() if words in row_text(row)})


def row_text(row: Row) -> str:
    """All that a row says, for a filter."""
    cells = (cell if isinstance(cell, str) else cell.text for cell in row.values())
    return " ".join(cells).casefold()


def _row(view: StoredModelView, verifying: bool, now: float) -> Row:
    return {
        "name": harmless(view.name),
        "format": view.format.value,
        "quantization": harmless(view.quantization or "-"),
        "size": size(view.size_bytes),
        "kept": KEPT_AS[view.stored_as],
        "services": ", ".join(view.services) or "-",
        "verified": _verified(view, verifying, now),
        "used": ago(view.last_used_at, now),
    }


def _verified(view: StoredModelView, verifying: bool, now: float) -> Cell:
    if verifying:
        return Tinted(text="◐ verifying", tone="warning")
    if view.problem:
        return Tinted(text="✗ problem", tone="error")
    if view.verified_at is None:
        return "◌ never"
    return Tinted(text=f"● {ago(view.verified_at, now)}", tone="success")
