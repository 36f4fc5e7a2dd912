"""Every key on one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hydra_box.messages import KeyView
from hydra_box.shown.keys import quota_and_use
from tui.widgets.keys_words import (
    MARKS,
    SOON_SECONDS,
    TONES,
    KeyState,
    ends,
    limits,
    models,
    scopes,
    state_of,
)
from tui.widgets.live_table import Cell, Column, LiveTable, Row, Tinted
from tui.words import ago

_COLUMNS: Final = (
    Column(id="name", title="NAME", width=13, stretches=True),
    Column(id="owner", title="USER", width=8, from_width=100),
    Column(id="masked", title="KEY", width=11),
    Column(id="state", title="STATE", width=10),
    Column(id="scopes", title="SCOPES", width=9),
    Column(id="created", title="CREATED", width=10, from_width=100),
    Column(id="used", title="LAST USED", width=10),
    Column(id="expires", title="EXPIRES", width=10),
    Column(id="models", title="MODELS", width=14, from_width=116, stretches=True),
    Column(id="limits", title="LIMITS", width=14, from_width=140, stretches=True),
)
_ORDER: Final = tuple(KeyState)


class KeysTable(LiveTable):
    """The keys that are to be seen: valid ones first, by name."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, id="keys")

    def show_keys(self, keys: Iterable[KeyView], now: float, words: str) -> None:
        """Show those of the keys that have the words in what is told of them."""
        ordered = sorted(
            keys, key=lambda key: (_ORDER.index(state_of(key, now)), key.name.casefold(), key.id)
        )
        rows: Mapping[str, Row] = {key.id: _row(key, now) for key in ordered}
        self.show({id: row for id, row in rows.items() if words in _text(row)})


def _row(key: KeyView, now: float) -> Row:
    state = state_of(key, now)
    tone = "dim" if state is KeyState.REVOKED else ""
    return {
        "name": Tinted(text=key.name, tone=tone),
        "owner": Tinted(text=key.owner_name or key.owner_id, tone=tone),
        "masked": Tinted(text=key.masked, tone=tone),
        "state": Tinted(text=f"{MARKS[state]} {state.value}", tone=TONES[state]),
        "scopes": Tinted(text=scopes(key), tone=tone),
        "created": Tinted(text=ago(key.created_at, now), tone=tone),
        "used": Tinted(text=ago(key.last_used_at, now), tone=tone),
        "expires": _expires(key, now, tone),
        "models": Tinted(text=models(key), tone=tone),
        "limits": Tinted(text=_limits(key), tone=tone),
    }


def _expires(key: KeyView, now: float, tone: str) -> Cell:
    at = key.expires_at
    soon = at is not None and at - now < SOON_SECONDS
    return Tinted(text=ends(at, now), tone="warning" if soon and not tone else tone)


def _limits(key: KeyView) -> str:
    told = (*limits(key.limits), *([quota_and_use(key)] if key.quota else []))
    return ", ".join(told) or "none"


def _text(row: Row) -> str:
    cells = (cell if isinstance(cell, str) else cell.text for cell in row.values())
    return " ".join(cells).casefold()
