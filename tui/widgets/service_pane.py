"""What the selected service is doing, beside the table that it was selected in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from textual.content import Content
from textual.widgets import Static

from hydra_box.messages import InstanceView, ServiceView, UpstreamView
from hydra_box.shown.numbers import count, duration
from hydra_box.types import InstanceState
from tui.seen import is_seen
from tui.session import Session, session_of
from tui.state import BoxState
from tui.widgets.progress import download_line
from tui.words import (
    STATE_MARKS,
    STATUS_STYLES,
    device,
    gib,
    instance_memory,
    latency,
    room,
    short,
    status,
)

_MOST_INSTANCES: Final = 8
STATE_STYLES: Final = {
    InstanceState.READY: "$text-success",
    InstanceState.FAILED: "$text-error",
    InstanceState.BACKOFF: "$text-error",
    InstanceState.STARTING: "$text-warning",
    InstanceState.PENDING: "$text-warning",
}


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
    yield Content.assemble(
        (view.name, "bold"),
        "  ",
        (status(view), STATUS_STYLES[view.status]),
        f"  {view.access_name}",
    )
    quantization = f" {view.quantization}" if view.quantization else ""
    yield Content(f"{view.base_model}{quantization} on {view.engine}, {room(view)}")
    stats = view.stats
    yield Content(
        f"{count(stats.requests, 'request')}, {stats.requests_in_flight} in flight, "
        f"{stats.requests_queued} waiting, {short(stats.tokens_per_second)} tokens/s, "
        f"TTFT {latency(stats.last_ttft_seconds)}"
    )
    if view.download is not None:
        yield download_line(view.download)
    elif view.progress:
        yield Content.styled(f"◐ {view.progress}", "$text-warning")
    if view.reason:
        fact, _, hint = view.reason.partition("; hint: ")
        yield Content.styled(f"! {fact}", "$text-error")
        if hint:
            yield Content(f"  hint: {hint}")
    for one in view.instances[:_MOST_INSTANCES]:
        yield instance_line(one, view, session.state)
    yield from (upstream_line(one) for one in view.upstreams[:_MOST_INSTANCES])
    if len(view.instances) > _MOST_INSTANCES:
        yield Content(f"and {len(view.instances) - _MOST_INSTANCES} more: Enter shows them")


def upstream_line(one: UpstreamView) -> Content:
    """An upstream: health, address, load."""
    word, style = ("healthy", "$text-success") if one.healthy else ("not ready", "$text-error")
    busy = f"{one.requests_in_flight}/{one.most_requests} busy"
    return Content.assemble((f"● {word:<9} ", style), f"{one.base_url}  {one.model}  {busy}")


def instance_line(one: InstanceView, view: ServiceView, state: BoxState) -> Content:
    """An instance: state, device, load, memory measured and predicted, uptime."""
    predicted, measured = instance_memory(one)
    words = [
        one.id.removeprefix(f"{view.name}-"),
        device(one.device, state.machine),
        f"{one.requests_in_flight}/{one.slots} busy",
    ]
    if measured:
        words.append(f"{gib(measured)} GiB ({gib(predicted)} predicted)")
    if one.uptime_seconds is not None:
        words.append(f"up {duration(one.uptime_seconds + state.age_seconds(view))}")
    if one.restarts:
        words.append(count(one.restarts, "restart"))
    mark = f"{STATE_MARKS[one.state]} {one.state.value:<8} "
    return Content.assemble((mark, STATE_STYLES.get(one.state, "")), "  ".join(words))
