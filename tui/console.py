"""The application: sections, themes, and the feed that keeps all of it alive."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.signal import Signal

from hydra_box.errors import DaemonUnreachable
from hydra_box.messages import ServicesUpdate
from hydra_box.types import Event, Machine
from tui import tidying
from tui.feed import Feed
from tui.link import Connect, Link
from tui.notebook import Notebook
from tui.palette import DARK, THEMES
from tui.screens.engines import EnginesScreen
from tui.screens.help import HelpScreen
from tui.screens.home import HomeScreen
from tui.screens.keys import KeysScreen
from tui.screens.logs import LogsScreen
from tui.screens.models import ModelsScreen
from tui.screens.service import ServiceScreen
from tui.screens.start import StartDialog
from tui.screens.usage import UsageScreen
from tui.session import Session, StartWay
from tui.state import BoxState
from tui.widgets.top_bar import SECTIONS

_THEME = "theme"


class Console(App[None]):
    """Hydra Box in a terminal."""

    TITLE = "Hydra Box"
    CSS_PATH: ClassVar[list[str | PurePath] | None] = [
        "styles/frame.tcss",
        "styles/home.tcss",
        "styles/dialogs.tcss",
        "styles/service.tcss",
        "styles/deploy.tcss",
        "styles/trial.tcss",
        "styles/keys.tcss",
        "styles/models.tcss",
    ]
    ENABLE_COMMAND_PALETTE = True
    NOTIFICATION_TIMEOUT = 3
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - as Textual declares it
        (0, "-narrow"),
        (100, "-normal"),
        (150, "-wide"),
    ]
    MODES: ClassVar[dict[str, Callable[[], Screen[Any]]]] = {  # type: ignore[assignment]
        "services": HomeScreen,
        "models": ModelsScreen,
        "keys": KeysScreen,
        "usage": UsageScreen,
        "engines": EnginesScreen,
        "logs": LogsScreen,
    }
    DEFAULT_MODE = "services"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"switch_mode('{mode}')", title, show=False)
            for number, (mode, title) in enumerate(SECTIONS.items(), 1)
        ),
        Binding("question_mark,f1", "help", "Help", key_display="?"),
        Binding("ctrl+t", "next_theme", "Next theme", show=False),
        Binding("ctrl+s", "start_daemon", "Start a daemon", show=False),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(
        self,
        connect: Connect,
        *,
        notebook: Notebook,
        address: str | None = None,
        start_ways: Sequence[StartWay] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.session = Session(
            link=Link(connect),
            state=BoxState(),
            notebook=notebook,
            clock=clock,
            start_ways=start_ways,
            address=address,
            link_changed=Signal[None](self, "link"),
            services_changed=Signal[ServicesUpdate](self, "services"),
            machine_changed=Signal[Machine](self, "machine"),
            runtimes_changed=Signal[None](self, "runtimes"),
            happened=Signal[Event](self, "events"),
        )
        self._feed: Feed | None = None
        self._offered_to_start = False

    def on_mount(self) -> None:
        """Start to follow the box."""
        wanted = self.session.notebook.read(_THEME, str, DARK.name)
        self.theme = wanted if wanted in self.available_themes else DARK.name
        self.theme_changed_signal.subscribe(self, lambda theme: self._keep_theme(theme.name))
        session = self.session
        self._feed = Feed(session.link, session.state, self, clock=session.clock)
        self.set_interval(tidying.SECONDS, tidying.tidy)
        self.run_worker(self._feed.run(), group="feed", exit_on_error=True)

    def on_unmount(self) -> None:
        """End what still waits for the box."""
        self.session.link.close()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Sections have no digits where digits are typed."""
        if action == "switch_mode" and getattr(self.screen, "KEEPS_DIGITS", False):
            return False
        return super().check_action(action, parameters)

    # --- what the feed tells -------------------------------------------------------

    def tell_link(self) -> None:
        """The box answers again, or no longer."""
        self.session.link_changed.publish(None)
        state = self.session.state
        if state.ever_connected or self._offered_to_start or not self.session.start_ways:
            return
        if isinstance(state.lost_because, DaemonUnreachable):
            self._offered_to_start = True
            self.action_start_daemon()

    def tell_services(self, update: ServicesUpdate) -> None:
        """Services or attention changed, or a second has passed."""
        self.session.services_changed.publish(update)

    def tell_machine(self, machine: Machine) -> None:
        """The machine was looked at."""
        self.session.machine_changed.publish(machine)

    def tell_runtimes(self) -> None:
        """A runtime came, went, was tried or pinned."""
        self.session.runtimes_changed.publish(None)

    def tell_event(self, event: Event) -> None:
        """Something happened."""
        self.session.happened.publish(event)

    # --- what keys do everywhere -----------------------------------------------------

    def action_help(self) -> None:
        """The keys of this screen."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_start_daemon(self) -> None:
        """Offer to start a daemon, where none answers and one can be started."""
        lost = self.session.state.lost_at is not None
        if lost and self.session.start_ways and not isinstance(self.screen, StartDialog):
            self.push_screen(StartDialog())

    def action_next_theme(self) -> None:
        """The next of the console's own themes."""
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette: where one can go, and what Textual has."""
        for number, (mode, title) in enumerate(SECTIONS.items(), 1):
            yield SystemCommand(
                f"Go to {title}", f"The section {title}, key {number}", self._opener(mode)
            )
        for view in self.session.state.by_name():
            yield SystemCommand(
                f"Service {view.name}", f"Open {view.access_name}", self._service_opener(view.id)
            )
        yield from super().get_system_commands(screen)

    def _opener(self, mode: str) -> Callable[[], None]:
        def go() -> None:
            self.switch_mode(mode)

        return go

    def _service_opener(self, service_id: str) -> Callable[[], None]:
        def go() -> None:
            self.push_screen(ServiceScreen(service_id))

        return go

    def _keep_theme(self, name: str) -> None:
        # A theme that cannot be kept is no reason to disturb anyone.
        with contextlib.suppress(OSError):
            self.session.notebook.keep(_THEME, name)
