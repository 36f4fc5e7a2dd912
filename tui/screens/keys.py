"""Keys: who may call what, and how much of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Final

from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import DataTable, Static

from hydra_box.errors import DaemonUnreachable, HydraError
from hydra_box.messages import CreatedKey, EditKeyRequest, KeyView, UsageBy
from hydra_box.shown.numbers import count
from hydra_box.types import Event
from tui.screens.base import BoxScreen
from tui.screens.keys_edit import EditKeyDialog
from tui.screens.keys_new import NewKeyDialog
from tui.screens.keys_revoke import RevokeDialog
from tui.screens.keys_rotate import RotateDialog
from tui.screens.usage import UsageScreen
from tui.screens.users import UsersScreen
from tui.seen import is_seen
from tui.widgets.filter_bar import FilterBar
from tui.widgets.keys_draft import KeyDraft
from tui.widgets.keys_pane import KeyPane
from tui.widgets.keys_table import KeysTable
from tui.widgets.keys_words import KeyState, state_of

_TELLING: Final = ("key.", "user.")
"""Events of these kinds tell that a key came, went or changed; none tells of its use."""


class KeysScreen(BoxScreen):
    """Every key: made, changed, disabled, rotated and revoked here."""

    TITLE_TEXT = "Keys"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New key"),
        Binding("e", "edit", "Edit"),
        Binding("space", "disable", "On/off", tooltip="disable, enable"),
        Binding("o", "rotate", "Rotate", tooltip="give it a new secret"),
        Binding("x,delete", "revoke", "Revoke", key_display="x"),
        Binding("U", "users", "Users"),
        Binding("v", "revoked", "Show/hide revoked", show=False),
        Binding("u", "usage", "Its usage", show=False),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("r", "refresh", "Read again", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[str, KeyView] | None = None
        """By id; None: not read yet."""
        self._draft = KeyDraft()
        self._words = ""
        self._shows_revoked = False
        self._go_to = ""

    def content(self) -> Iterator[Widget]:
        """A line about all, the table, and the selected key."""
        yield Static("reading the keys ...", id="keys-note")
        yield FilterBar()
        yield KeysTable()
        yield KeyPane()

    def on_mount(self) -> None:
        """Follow what happens; the keyboard is in the table."""
        session = self.session
        session.happened.subscribe(self, self._happened)
        session.link_changed.subscribe(self, lambda _: self._look())
        session.services_changed.subscribe(self, lambda _: self._tick())
        self.query_one(KeysTable).focus()

    def on_screen_resume(self) -> None:
        """What happened while another screen was on top, and when the keys were used last."""
        self._look()

    @on(DataTable.RowHighlighted)
    def _row_highlighted(self) -> None:
        self._show_pane()

    @on(DataTable.RowSelected)
    async def _row_selected(self) -> None:
        await self.action_usage()

    @on(FilterBar.Filtered)
    def _filtered(self, event: FilterBar.Filtered) -> None:
        self._words = event.words
        self._show()

    @on(FilterBar.Left)
    def _filter_left(self) -> None:
        self.query_one(KeysTable).focus()

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one(FilterBar).open()

    def action_refresh(self) -> None:
        """Read them now."""
        self._look()

    def action_revoked(self) -> None:
        """Show the revoked keys, or hide them again."""
        self._shows_revoked = not self._shows_revoked
        self._show()

    def action_new(self) -> None:
        """Make a key."""
        self.app.push_screen(
            NewKeyDialog(self._draft, self._taken(), keep=self._keep_draft, made=self._made)
        )

    def action_edit(self) -> None:
        """Change what the selected key may do."""
        if key := self._live("edit"):
            self.app.push_screen(EditKeyDialog(key, self._taken() - {key.name}))

    def action_disable(self) -> None:
        """Disable the selected key, or enable it again."""
        if key := self._live("disable"):
            self._disable(key, disabled=key.disabled_at is None)

    def action_rotate(self) -> None:
        """Give the selected key a new secret."""
        if key := self._live("rotate"):
            self.app.push_screen(RotateDialog(key))

    def action_users(self) -> None:
        """Whose keys they may be."""
        self.app.push_screen(UsersScreen())

    def action_revoke(self) -> None:
        """Revoke the selected key, once that is confirmed."""
        if key := self._live("revoke"):
            self.app.push_screen(RevokeDialog(key))

    async def action_usage(self) -> None:
        """What the selected key used."""
        if key := self._current():
            await self.app.switch_mode("usage")
            if isinstance(usage := self.app.screen, UsageScreen):
                usage.select(UsageBy.KEY, key.id)

    @work(group="disable")
    async def _disable(self, key: KeyView, *, disabled: bool) -> None:
        request = EditKeyRequest(disabled=disabled)
        try:
            await self.session.link.call(lambda box: box.edit_key(key.id, request))
        except HydraError as error:
            self.tell(error)
            return
        done = "disabled: requests under way end" if disabled else "enabled"
        if key.owner_disabled_at is not None and not disabled:
            done = f"enabled, but its user {key.owner_name} is disabled: U shows users"
        self.notify(f"The key {key.name} is {done}.", markup=False)

    def _look(self) -> None:
        if is_seen(self) and self.session.state.lost_at is None:
            self._read()

    def _happened(self, event: Event) -> None:
        if event.kind.startswith(_TELLING):
            self._look()

    def _tick(self) -> None:
        # Keys end and ages grow with nothing happening.
        if is_seen(self):
            self._show()

    @work(exclusive=True, group="keys")
    async def _read(self) -> None:
        try:
            keys = await self.session.link.call(lambda box: box.keys())
        except HydraError as error:
            if self._keys is None:
                self._note(Content.styled(str(error), "$text-error"))
            elif not isinstance(error, DaemonUnreachable):
                # Of a lost daemon the line at the top tells.
                self.tell(error)
            return
        self._keys = {key.id: key for key in keys}
        self._show()

    def _show(self) -> None:
        if self._keys is None:
            return
        now = self.session.clock()
        states = {key.id: state_of(key, now) for key in self._keys.values()}
        seen = [
            key
            for key in self._keys.values()
            if self._shows_revoked or states[key.id] is not KeyState.REVOKED
        ]
        table = self.query_one(KeysTable)
        table.show_keys(seen, now, self._words)
        if self._go_to in self._keys:
            table.move_to(self._go_to)
            self._go_to = ""
        self._note(self._told(Counter(states.values()), table.row_count, len(seen)))
        self._show_pane()

    def _told(self, states: Counter[KeyState], shown: int, seen: int) -> Content:
        words = [count(states[KeyState.VALID], "valid key")]
        if disabled := states[KeyState.DISABLED]:
            words.append(f"{disabled} disabled")
        if expired := states[KeyState.EXPIRED]:
            words.append(f"{expired} expired")
        if revoked := states[KeyState.REVOKED]:
            words.append(f"{revoked} revoked ({'v hides' if self._shows_revoked else 'hidden: v'})")
        if self._words:
            words.append(f"the filter leaves {shown} of {seen}")
        return Content(", ".join(words))

    def _show_pane(self) -> None:
        pane = self.query_one(KeyPane)
        if key := self._current():
            pane.tell(key, self.session.state.services.values(), self.session.clock())
        elif self._keys is not None:
            pane.tell_none(others=bool(self._keys))

    def _current(self) -> KeyView | None:
        return (self._keys or {}).get(self.query_one(KeysTable).current_key or "")

    def _live(self, to_what: str) -> KeyView | None:
        """The selected key, if it was not revoked; else that is told."""
        key = self._current()
        if key is None:
            self.notify(f"There is no key to {to_what}: n makes one.", severity="warning")
        elif key.revoked_at is not None:
            self.notify(f"{key.name} was revoked before.", severity="warning", markup=False)
        else:
            return key
        return None

    def _taken(self) -> set[str]:
        """Names of keys that are not revoked."""
        return {key.name for key in (self._keys or {}).values() if key.revoked_at is None}

    def _note(self, text: Content) -> None:
        self.query_one("#keys-note", Static).update(text)

    def _keep_draft(self, draft: KeyDraft) -> None:
        self._draft = draft

    def _made(self, created: CreatedKey) -> None:
        self._go_to = created.id
