"""What the selected service is doing, beside the table that it was selected in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from textual.content import Content
from textual.widgets import Static

from hydra_box.messages import ServiceView
from hydra_box.shown.doing import doing
from hydra_box.shown.numbers import count
from hydra_box.shown.text import harmless
from tui.seen import is_seen
from tui.session import Session, session_of
from tui.widgets.progress import download_line
from tui.widgets.service_lines import instance_line, upstream_line
from tui.widgets.service_words import asleep, served, terms
from tui.words import latency, short, status, status_style

_MOST_LINES: Final = 8
"""Of instances and upstreams."""


class ServicePane(Static):
    """One service in a few lines; nothing when there is none."""

    def __init__(self) -> None:
        super().__init__(id="pane")
        self._service_id: str | None = None

    def on_mount(self) -> None:
        """Follow the services."""
        session_of(self).services_changed.subscribe(self, lambda _: self._show())
        self._show()

    def select(self, service_id: str | None) -> None:
        """Show this one."""
        self._service_id = service_id
        self._show()

    def _show(self) -> None:
        if not is_seen(self.screen):
            return
        view = session_of(self).state.services.get(self._service_id or "")
        if view is None:
            self.update(_nothing(bool(session_of(self).state.services)))
            return
        self.update(Content("\n").join(_lines(view, session_of(self))))


def _nothing(others: bool) -> Content:
    if others:
        return Content("no service is selected")
    return Content.from_markup(
        "[b]No services yet.[/]\n\n"
        "Press [b]d[/] to deploy a model: the plan shows what fits before anything is fetched.\n"
        "The [b]demo[/] model is on this machine already and answers in seconds."
    )


def _lines(view: ServiceView, session: Session) -> Iterator[Content]:
    about = "  ".join((view.access_name, *terms(view)))
    yield Content.assemble(
        (view.name, "bold"), "  ", (status(view), status_style(view)), f"  {about}"
    )
    yield Content(served(view))
    stats = view.stats
    yield Content(
        f"{count(stats.requests, 'request')}, {stats.requests_in_flight} in flight, "
        f"{stats.requests_queued} waiting, {short(stats.tokens_per_second)} tokens/s, "
        f"TTFT {latency(stats.last_ttft_seconds)}"
    )
    yield from _condition(view)
    lines = [
        *(instance_line(one, view, session.state) for one in view.instances),
        *(upstream_line(one) for one in view.upstreams),
    ]
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield Content(f"and {len(lines) - _MOST_LINES} more: Enter shows them")


def _condition(view: ServiceView) -> Iterator[Content]:
    if view.download is not None:
        yield download_line(view.download)
    elif view.asleep:
        yield Content.styled(asleep(view), "$primary")
    elif told := doing(view):
        yield Content.styled(f"◐ {told}", "$text-warning")
    if view.reason:
        fact, _, hint = harmless(view.reason).partition("; hint: ")
        yield Content.styled(f"! {fact}", "$text-error")
        if hint:
            yield Content(f"  hint: {hint}")
