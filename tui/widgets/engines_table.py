"""Every runtime of every engine on one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final

from hydra_box.shown.text import harmless
from hydra_box.types import Runtime
from tui.widgets.live_table import Cell, Column, LiveTable, Row, Tinted
from tui.widgets.models_table import row_text
from tui.words import ago

NEXT: Final = "▸"
"""Marks what the next instance of an engine will run on."""
_COLUMNS: Final = (
    Column(id="engine", title="  ENGINE", width=11),
    Column(id="version", title="VERSION", width=13),
    Column(id="accelerator", title="ON", width=4),
    Column(id="source", title="FROM", width=7),
    Column(id="state", title="STATE", width=17, stretches=True),
    Column(id="pinned", title="PINNED", width=6),
    Column(id="services", title="USED BY", width=7, stretches=True),
    Column(id="location", title="LOCATION", width=30, from_width=130, stretches=True),
)


class RuntimesTable(LiveTable):
    """The runtimes that have the words of the filter, the best of each engine first."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, id="runtimes")

    def show_runtimes(
        self,
        runtimes: Iterable[Runtime],
        *,
        verifying: Set[str],
        used: Mapping[str, Sequence[str]],
        words: str,
        now: float,
    ) -> None:
        """Show these; ``used``: a runtime's id to the services that have an instance on it."""
        ordered = sorted(runtimes, key=lambda one: one.engine)
        following = next_ones(ordered)
        rows = {
            one.id: {
                **_row(one, used.get(one.id, ())),
                "engine": f"{NEXT if one.id in following else ' '} {one.engine}",
                "state": _state(one, one.id in verifying, now),
            }
            for one in ordered
        }
        self.show({key: row for key, row in rows.items() if words in row_text(row)})


def next_ones(runtimes: Iterable[Runtime]) -> frozenset[str]:
    """Ids of the runtimes that the next instances run on, of runtimes that are best first.

    One that is pinned is the only one of its engine, whether it works or not.
    """
    found: dict[str, Runtime] = {}
    listed = list(runtimes)
    pinned = {one.engine for one in listed if one.pinned}
    for one in listed:
        if one.verified_at is not None and (one.pinned or one.engine not in pinned):
            found.setdefault(one.engine, one)
    return frozenset(one.id for one in found.values())


def _row(runtime: Runtime, services: Sequence[str]) -> Row:
    return {
        "version": harmless(runtime.version),
        "accelerator": runtime.accelerator.value,
        "source": runtime.source.value,
        "pinned": "pinned" if runtime.pinned else "-",
        "services": ", ".join(services) or "-",
        "location": harmless(runtime.location),
    }


def _state(runtime: Runtime, verifying: bool, now: float) -> Cell:
    if verifying:
        return Tinted(text="◐ verifying", tone="warning")
    if runtime.problem:
        return Tinted(text=f"✗ {harmless(runtime.problem)}", tone="error")
    if runtime.verified_at is None:
        return Tinted(text="◌ not tried yet", tone="dim")
    return Tinted(text=f"● works, {ago(runtime.verified_at, now)}", tone="success")
