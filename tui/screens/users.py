"""Users: who owns keys and services; made, disabled and enabled here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static

from hydra_box.errors import DaemonUnreachable, HydraError
from hydra_box.messages import EditUserRequest, UsageBy, UserView
from hydra_box.shown.numbers import count
from hydra_box.shown.text import harmless
from hydra_box.types import Event
from tui.screens.base import BoxScreen, Dialog
from tui.screens.usage import UsageScreen
from tui.seen import is_seen
from tui.widgets.keys_field import KeyField
from tui.widgets.keys_values import one_line
from tui.widgets.users_table import UsersTable
from tui.words import ago

_TELLING: Final = ("key.", "user.", "service.")
"""Events of these kinds tell that a user changed, or what it owns."""


class UsersScreen(BoxScreen):
    """Every user, with how many keys and services each has."""

    TITLE_TEXT = "Users"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New user"),
        Binding("space", "disable", "Disable/enable"),
        Binding("u", "usage", "Its usage"),
        Binding("escape", "back", "Keys"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._users: dict[str, UserView] = {}
        """By id, the box's owner first."""
        self._go_to = ""

    def content(self) -> Iterator[Widget]:
        """A line about all, the table, and what disabling means."""
        yield Static("reading the users ...", id="users-note")
        yield UsersTable()
        yield Static(id="user-pane")

    def on_mount(self) -> None:
        """Follow what happens; the keyboard is in the table."""
        session = self.session
        session.happened.subscribe(self, self._happened)
        session.link_changed.subscribe(self, lambda _: self._look())
        self.query_one(UsersTable).focus()
        self._look()

    @on(DataTable.RowHighlighted)
    def _row_highlighted(self) -> None:
        self._show_pane()

    @on(DataTable.RowSelected)
    async def _row_selected(self) -> None:
        await self.action_usage()

    def action_new(self) -> None:
        """Make a user."""
        self.app.push_screen(NewUserDialog(self._made))

    def action_disable(self) -> None:
        """Disable the selected user, or enable it again."""
        if user := self._current():
            self._disable(user, disabled=user.disabled_at is None)

    async def action_usage(self) -> None:
        """What the selected user's keys used."""
        if user := self._current():
            await self.app.switch_mode("usage")
            if isinstance(usage := self.app.screen, UsageScreen):
                usage.select(UsageBy.USER, user.id)

    @work(group="disable")
    async def _disable(self, user: UserView, *, disabled: bool) -> None:
        request = EditUserRequest(disabled=disabled)
        try:
            await self.session.link.call(lambda box: box.edit_user(user.id, request))
        except HydraError as error:
            self.tell(error)
            return
        done = "disabled: its keys open nothing" if disabled else "enabled: its keys open again"
        self.notify(f"{user.name} is {done}.", markup=False)

    def _look(self) -> None:
        if is_seen(self) and self.session.state.lost_at is None:
            self._read()

    def _happened(self, event: Event) -> None:
        if event.kind.startswith(_TELLING):
            self._look()

    @work(exclusive=True, group="users")
    async def _read(self) -> None:
        try:
            users = await self.session.link.call(lambda box: box.users())
        except HydraError as error:
            if not isinstance(error, DaemonUnreachable):
                # Of a lost daemon the line at the top tells.
                self.tell(error)
            return
        self._users = {user.id: user for user in users}
        table = self.query_one(UsersTable)
        table.show_users(users, self.session.clock())
        if self._go_to in self._users:
            table.move_to(self._go_to)
            self._go_to = ""
        disabled = sum(user.disabled_at is not None for user in users)
        more = f", {disabled} disabled" if disabled else ""
        self.query_one("#users-note", Static).update(f"{count(len(users), 'user')}{more}")
        self._show_pane()

    def _show_pane(self) -> None:
        if user := self._current():
            lines = Content("\n").join(_lines(user, self.session.clock()))
            self.query_one("#user-pane", Static).update(lines)

    def _current(self) -> UserView | None:
        return self._users.get(self.query_one(UsersTable).current_key or "")

    def _made(self, user: UserView) -> None:
        self._go_to = user.id


class NewUserDialog(Dialog):
    """Takes a name; Enter makes the user."""

    def __init__(self, made: Callable[[UserView], None]) -> None:
        super().__init__()
        self._made = made

    def compose(self) -> ComposeResult:
        """The name, and what is wrong with it."""
        with Vertical(classes="dialog", id="new-user") as box:
            box.border_title = "New user"
            box.border_subtitle = "enter: create   escape: cancel"
            yield KeyField("name", "Name", "", placeholder="who it is")

    def on_mount(self) -> None:
        """Say what users are for."""
        told = "a user owns keys and services, and calls its own services and public ones"
        self.query_one(KeyField).say(told)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self._create(event.value.strip())

    @work(exclusive=True)
    async def _create(self, name: str) -> None:
        try:
            user = await self.session.link.call(lambda box: box.create_user(name))
        except HydraError as error:
            self.query_one(KeyField).say(one_line(error), wrong=True)
            return
        self._made(user)
        self.notify(f"{user.name} is made: a new key has a field for its user.", markup=False)
        self.dismiss()


def _lines(user: UserView, now: float) -> Iterator[Content]:
    owns = f"{count(user.keys, 'key')} and {count(user.services, 'service')}"
    yield Content.assemble((harmless(user.name), "bold"), f"  {user.id}  owns {owns}")
    if user.disabled_at is None:
        yield Content("a new key is given to a user in its form; space disables all of a user's")
    else:
        told = f"disabled {ago(user.disabled_at, now)}: none of its keys opens anything"
        yield Content.styled(told, "$text-warning")
