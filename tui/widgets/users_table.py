"""Every user on one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hydra_box.messages import UserView
from tui.widgets.keys_words import MARKS, TONES, KeyState
from tui.widgets.live_table import Column, LiveTable, Row, Tinted
from tui.words import ago

_COLUMNS: Final = (
    Column(id="name", title="NAME", width=16, stretches=True),
    Column(id="state", title="STATE", width=10),
    Column(id="keys", title="KEYS", width=5, right=True),
    Column(id="services", title="SERVICES", width=8, right=True),
    Column(id="created", title="CREATED", width=11),
    Column(id="id", title="ID", width=14),
)


class UsersTable(LiveTable):
    """The oldest first, which is the box's owner."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, id="users")

    def show_users(self, users: Iterable[UserView], now: float) -> None:
        """Have exactly these, in this order."""
        self.show({user.id: _row(user, now) for user in users})


def user_state(user: UserView) -> KeyState:
    """What its keys are by it."""
    return KeyState.VALID if user.disabled_at is None else KeyState.DISABLED


def _row(user: UserView, now: float) -> Row:
    state = user_state(user)
    return {
        "name": user.name,
        "state": Tinted(text=f"{MARKS[state]} {state.value}", tone=TONES[state]),
        "keys": f"{user.keys:,}",
        "services": f"{user.services:,}",
        "created": ago(user.created_at, now),
        "id": user.id,
    }
