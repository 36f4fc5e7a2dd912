"""A deployment under way: its steps, what happens, and what can be done then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from hydra_box.errors import HydraError
from hydra_box.messages import ServiceView
from hydra_box.shown.numbers import duration
from hydra_box.shown.text import harmless
from hydra_box.types import Event, ServiceStatus
from tui.samples import samples
from tui.screens.base import BoxScreen
from tui.screens.edit import EditScreen
from tui.screens.service import ServiceScreen
from tui.screens.trial import TrialScreen
from tui.widgets.deployment_steps import is_ready, needs_help, steps_text
from tui.widgets.event_list import EventList
from tui.widgets.service_words import has_instances, served
from tui.words import status, status_style


class DeploymentScreen(BoxScreen):
    """Follows one deployment; leaving it leaves the deployment as it is.

    Args:
        service_id: whose deployment it is.

    """

    TITLE_TEXT = "Deployment"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "trial", "Trial"),
        Binding("enter", "service", "Service page"),
        Binding("u", "call", "How to call it"),
        Binding("r", "retry", "Try again"),
        Binding("e", "edit", "Edit"),
        Binding("escape", "back", "Services"),
    ]

    def __init__(self, service_id: str) -> None:
        super().__init__()
        self._service_id = service_id
        self._seen = False
        """Whether the box has told of the service yet: right after deploying it has not."""
        self._download_ids: set[str] = set()
        self._told = ""
        self._keys: tuple[bool | None, ...] = ()

    @property
    def _view(self) -> ServiceView | None:
        return self.session.state.services.get(self._service_id)

    def content(self) -> Iterator[Widget]:
        """What, its steps, what next; and below, what happened."""
        yield Static(id="what")
        yield Static(id="steps")
        yield Static(id="next")
        yield Static(id="call", markup=False)
        yield EventList(id="happened")

    def on_mount(self) -> None:
        """Follow the service, and show what has happened before."""
        self.query_one("#call").display = False
        self.query_one(EventList).border_title = "what happens"
        self.query_one(EventList).can_focus = False
        self.session.services_changed.subscribe(self, lambda _: self._show())
        self.session.link_changed.subscribe(self, lambda _: self._show())
        self.session.happened.subscribe(self, self._happened)
        self._show()
        for event in self.session.state.events:
            self._happened(event)

    def on_screen_resume(self) -> None:
        """What happened while another screen was on top."""
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key is there when there is something that it can do."""
        view = self._view
        if action in ("trial", "call"):
            return view is not None and is_ready(view)
        if action == "service":
            return view is not None
        if action == "retry":
            return view is not None and needs_help(view)
        if action == "edit":
            return view is not None and view.download is None and has_instances(view)
        return super().check_action(action, parameters)

    # --- keys ----------------------------------------------------------------------

    def action_trial(self) -> None:
        """Talk to it."""
        self.app.push_screen(TrialScreen(self._service_id))

    def action_service(self) -> None:
        """All there is to know of it."""
        self.app.push_screen(ServiceScreen(self._service_id))

    def action_edit(self) -> None:
        """Change how it runs."""
        self.app.push_screen(EditScreen(self._service_id))

    def action_call(self) -> None:
        """The call to paste, on the screen and in the clipboard."""
        view = self._view
        if view is None:
            return
        curl = samples(self.session.url, view.access_name)[0].text.rstrip()
        line = self.query_one("#call", Static)
        line.update(Content(curl))
        line.display = True
        self.app.copy_to_clipboard(curl)
        self.notify("Copied the curl call. It needs a key: section 3, Keys, makes one.")

    def action_retry(self) -> None:
        """Try again at once."""
        if view := self._view:
            self._retry(view)

    def action_back(self) -> None:
        """Home; the deployment goes on."""
        app = self.app
        while len(app.screen_stack) > 1:
            app.pop_screen()
        app.switch_mode("services")

    @work(exclusive=True, group="retry")
    async def _retry(self, view: ServiceView) -> None:
        download = view.download
        try:
            if download is None:
                await self.session.link.call(lambda box: box.start(view.id))
            else:
                await self.session.link.call(lambda box: box.resume_download(download.id))
        except HydraError as error:
            self.tell(error)

    # --- what is shown ---------------------------------------------------------------

    def _happened(self, event: Event) -> None:
        ours = event.service_id == self._service_id or event.download_id in self._download_ids
        if event.id and ours:
            self.query_one(EventList).add(event)
            self._show_newest()

    def _show(self) -> None:
        view = self._view
        if view is not None:
            self._seen = True
            if view.download is not None:
                self._download_ids.add(view.download.id)
        if self.is_current:
            self._show_view(view)
            self._show_keys()

    def _show_keys(self) -> None:
        """Have the footer show what can be pressed now; it is drawn anew only for a change."""
        keys = tuple(self.check_action(one, ()) for one in ("trial", "service", "retry", "edit"))
        if keys != self._keys:
            self._keys = keys
            self.refresh_bindings()

    def _show_view(self, view: ServiceView | None) -> None:
        what, next_, steps = (self.query_one(f"#{id}", Static) for id in ("what", "next", "steps"))
        if view is None:
            text = "This service is gone: it was deleted." if self._seen else "starting ..."
            what.update(Content(text))
            steps.update("")
            next_.update("")
            self._told = ""
            return
        what.update(_title(view, self.session.state.updated_at or view.created_at))
        steps.update(steps_text(view, self.session.state.machine))
        told = Content("\n").join(_next(view))
        if told.plain != self._told:
            self._told = told.plain
            next_.update(told)
            self._show_newest()

    def _show_newest(self) -> None:
        """What is above the events may have grown, and the last is what counts."""
        self.call_after_refresh(self.query_one(EventList).scroll_end, animate=False)


def _title(view: ServiceView, now: float) -> Content:
    took = "" if is_ready(view) else f"   {duration(now - view.created_at)}"
    return Content.assemble(
        (view.name, "bold $primary"),
        "  ",
        (status(view), status_style(view)),
        took,
        (f"\n{view.access_name}: {served(view)}", "$text-muted"),
    )


def _next(view: ServiceView) -> Iterator[Content]:
    """Why it does not go on, and what can be done now."""
    if view.reason:
        fact, _, hint = harmless(view.reason).partition("; hint: ")
        yield Content.styled(f"✗ {fact}", "$text-error")
        if hint:
            yield Content(f"  hint: {hint}")
    if is_ready(view):
        yield _told_ready(view)
        yield _keys(("t", "ask it something"), ("enter", "its page"), ("u", "how to call it"))
    elif needs_help(view):
        stopped = view.status is ServiceStatus.STOPPED
        again = "start it" if stopped else "try again"
        what = [("r", "go on" if view.download is not None else again)]
        if view.download is None and has_instances(view):
            what.append(("e", "change how it runs"))
        yield _keys(*what, ("enter", "its page, with the log"))
    elif view.status is ServiceStatus.DELETING:
        yield Content.styled("it is being deleted", "$text-muted")
    else:
        yield Content.styled("escape goes to the services; the deployment goes on", "$text-muted")


def _told_ready(view: ServiceView) -> Content:
    if view.asleep:
        return Content.styled(f"{view.name} sleeps; the next request wakes it.", "bold $primary")
    return Content.styled(f"✓ {view.name} is ready.", "bold $text-success")


def _keys(*pairs: tuple[str, str]) -> Content:
    parts = [Content.assemble((f" {key} ", "bold $accent"), f"{text}") for key, text in pairs]
    return Content("  ").join(parts)
