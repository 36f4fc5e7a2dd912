"""The boxes over the trial: an image, services to compare with, conversations, the command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from hydra_box.errors import HydraError
from hydra_box.messages import ServiceView
from hydra_box.shown.numbers import count, duration
from hydra_box.shown.text import harmless
from tui.screens.base import Dialog
from tui.trial.conversation import Conversation, Picture
from tui.trial.pictures import read_picture
from tui.trial.requests import shortened
from tui.words import cut

MOST_BESIDE: Final = 2
_LISTS: Final[list[BindingType]] = [
    Binding("j", "down", "Down", show=False),
    Binding("k", "up", "Up", show=False),
]


class PictureDialog(Dialog):
    """Takes the path of an image; an empty one takes the image away."""

    def __init__(self, path: str, taken: Callable[[Picture | None, str], None]) -> None:
        super().__init__()
        self._path = path
        self._taken = taken

    def compose(self) -> ComposeResult:
        """The path, and what is wrong."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Image for the next question"
            box.border_subtitle = "enter: attach   escape: cancel"
            yield Static("The path of a PNG, JPEG, WebP or GIF file; empty: no image.\n")
            yield Input(self._path, placeholder="~/pictures/cat.png", compact=True)
            yield Static(id="why")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if path := event.value.strip():
            self._read(path)
        else:
            self._taken(None, "")
            self.dismiss()

    @work(exclusive=True)
    async def _read(self, path: str) -> None:
        try:
            picture, url = await self.session.link.run(lambda: read_picture(path))
        except HydraError as error:
            text = Content.styled(harmless(str(error)), "$text-error")
            self.query_one("#why", Static).update(text)
            return
        self._taken(picture, url)
        self.dismiss()


class CompareDialog(Dialog):
    """Lists the services that run; one or two of them are asked the same."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *_LISTS,
        Binding("space", "mark", "Mark", show=False),
    ]

    def __init__(
        self,
        others: Sequence[ServiceView],
        chosen: Sequence[str],
        taken: Callable[[tuple[str, ...]], None],
    ) -> None:
        super().__init__()
        self._others = others
        self._marked = {one.id for one in others} & set(chosen)
        self._taken = taken

    def compose(self) -> ComposeResult:
        """The services, and how many may be chosen."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Compare with"
            if not self._others:
                yield Static("No other service that can chat is RUNNING.")
                yield Static("hint: d on the services screen deploys another one")
                box.border_subtitle = "escape: close"
                return
            box.border_subtitle = "space: mark   enter: done   escape: cancel"
            yield Static(f"Up to {MOST_BESIDE} are asked the same; none: no comparison.\n")
            yield OptionList(*(Option(self._option(one)) for one in self._others))
            yield Static(id="why")

    def action_down(self) -> None:
        """To the next one."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """To the one before."""
        self.query_one(OptionList).action_cursor_up()

    def action_mark(self) -> None:
        """Mark or unmark the service under the cursor."""
        listed = self.query_one(OptionList)
        if (at := listed.highlighted) is not None:
            self._marked ^= {self._others[at].id}
            listed.replace_option_prompt_at_index(at, self._option(self._others[at]))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if len(self._marked) > MOST_BESIDE:
            text = f"{len(self._marked)} are marked, and {MOST_BESIDE} fit on the screen"
            self.query_one("#why", Static).update(Content.styled(text, "$text-error"))
            return
        self._taken(tuple(one.id for one in self._others if one.id in self._marked))
        self.dismiss()

    def _option(self, view: ServiceView) -> Content:
        mark = "[x]" if view.id in self._marked else "[ ]"
        return Content(f"{mark} {view.name}  {view.base_model} on {view.engine}")


class ChatsDialog(Dialog):
    """The conversations with this service; the first line starts a new one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *_LISTS,
        Binding("x,delete", "forget", "Forget", show=False, key_display="x"),
    ]

    def __init__(
        self,
        conversations: Sequence[Conversation],
        *,
        opened: Callable[[Conversation | None], None],
        forgotten: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._conversations = list(conversations)
        self._opened = opened
        self._forgotten = forgotten

    def compose(self) -> ComposeResult:
        """One line a conversation."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Conversations"
            box.border_subtitle = "enter: open   x: forget   escape: close"
            yield OptionList(Option("+ a new conversation"), *self._options())

    def _options(self) -> list[Option]:
        now = self.session.clock()
        return [Option(_conversation(one, now)) for one in self._conversations]

    def action_down(self) -> None:
        """To the next one."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """To the one before."""
        self.query_one(OptionList).action_cursor_up()

    def action_forget(self) -> None:
        """Forget the conversation under the cursor, for good."""
        listed = self.query_one(OptionList)
        if at := listed.highlighted:
            self._forgotten(self._conversations.pop(at - 1).id)
            listed.remove_option_at_index(at)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        at = event.option_index
        self.dismiss()
        self._opened(self._conversations[at - 1] if at else None)


class CommandDialog(Dialog):
    """Shows a command that has been copied."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,ctrl+y", "copy", "Copy again"),
        Binding("enter", "dismiss", "Close", show=False),
    ]

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command

    def compose(self) -> ComposeResult:
        """The command, to be read."""
        with VerticalScroll(classes="dialog") as box:
            box.border_title = "The same request as a command"
            box.border_subtitle = "copied; y: copy again   escape: close"
            yield Static(
                "export HYDRA_BOX_API_KEY=...   # a key: section 3\n", markup=False, classes="muted"
            )
            yield Static(Content(harmless(shortened(self._command))))

    def on_mount(self) -> None:
        """Whoever asks for it wants to paste it."""
        self.query_one(VerticalScroll).focus()
        self.action_copy()

    def action_copy(self) -> None:
        """To the terminal's clipboard."""
        self.app.copy_to_clipboard(self._command)
        self.notify("Copied the curl command.", markup=False)


def _conversation(one: Conversation, now: float) -> Content:
    first = harmless(" ".join(one.turns[0].prompt.split())) if one.turns else ""
    told = f"\n   {count(len(one.turns), 'question')}, begun {duration(now - one.started_at)} ago"
    return Content.assemble(cut(first, 60), (told, "dim"))
