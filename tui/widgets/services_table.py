"""Every service on one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType

from hydra_box.messages import ServiceView
from hydra_box.types import ServiceStatus
from tui.seen import is_seen
from tui.session import session_of
from tui.widgets.live_table import Column, LiveTable, Row, Tinted
from tui.widgets.service_words import has_instances, owner
from tui.words import gib, latency, memory_bytes, ready, short, sparkline, status

_COLUMNS: Final = (
    Column(id="name", title="NAME", width=13, stretches=True),
    Column(id="access_name", title="ACCESS NAME", width=22, from_width=120, stretches=True),
    Column(id="owner", title="OWNER", width=8, from_width=150, stretches=True),
    Column(id="model", title="BASE MODEL", width=13, stretches=True),
    Column(id="engine", title="ENGINE", width=9, from_width=110),
    Column(id="instances", title="READY", width=7, right=True),
    Column(id="status", title="STATUS", width=11),
    Column(id="requests", title="REQ", width=4, right=True),
    Column(id="speed", title="TOKENS/S", width=12),
    Column(id="ttft", title="TTFT", width=7, from_width=110, right=True),
    Column(id="memory", title="GiB", width=5, from_width=100, right=True),
)
_SPARK: Final = 7

TONES: Final = {
    ServiceStatus.DEPLOYING: "warning",
    ServiceStatus.RUNNING: "success",
    ServiceStatus.SCALING: "warning",
    ServiceStatus.STOPPED: "dim",
    ServiceStatus.FAILED: "error",
    ServiceStatus.DELETING: "dim",
}


class ServicesTable(LiveTable):
    """The services that have the words of the filter, by name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Open", key_display="⏎"),
    ]

    def __init__(self) -> None:
        super().__init__(_COLUMNS, id="services")
        self._words = ""

    def on_mount(self) -> None:
        """Follow the services."""
        super().on_mount()
        session = session_of(self)
        session.services_changed.subscribe(self, lambda _: self.look())
        session.link_changed.subscribe(self, lambda _: self.look())
        self.look()

    def filter(self, words: str) -> None:
        """Show only services that have the words in what is shown of them."""
        self._words = words
        self.look()

    def look(self) -> None:
        """Show the services as they are now."""
        # What nobody sees is brought up to date when it is seen again.
        if is_seen(self.screen) or not self.row_count:
            self.show(self._present())

    def _present(self) -> Mapping[str, Row]:
        state = session_of(self).state
        rows = {view.id: _row(view, state.speeds.get(view.id, ())) for view in state.by_name()}
        if not self._words:
            return rows
        return {key: row for key, row in rows.items() if self._words in _text(row)}


def _row(view: ServiceView, speeds: Sequence[float]) -> Row:
    speed = view.stats.tokens_per_second
    queued = f"+{view.stats.requests_queued}" if view.stats.requests_queued else ""
    return {
        "name": view.name,
        "access_name": view.access_name,
        "model": view.base_model,
        "owner": owner(view),
        "engine": view.engine.value,
        "instances": ready(view),
        "status": Tinted(text=status(view), tone="primary" if view.asleep else TONES[view.status]),
        "requests": f"{view.stats.requests_in_flight}{queued}",
        "speed": f"{short(speed):>4} {sparkline(speeds, _SPARK)}",
        "ttft": latency(view.stats.last_ttft_seconds),
        "memory": gib(memory_bytes(view)) if has_instances(view) else "-",
    }


def _text(row: Row) -> str:
    cells = (cell if isinstance(cell, str) else cell.text for cell in row.values())
    return " ".join(cells).casefold()
