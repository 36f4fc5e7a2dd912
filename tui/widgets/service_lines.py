"""The lines of a service's page and pane: an instance, an upstream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from textual.content import Content

from hydra_box.messages import InstanceView, ServiceView, UpstreamView
from hydra_box.shown.numbers import count, duration
from hydra_box.shown.text import harmless
from hydra_box.types import InstanceState
from tui.state import BoxState
from tui.words import STATE_MARKS, ago, device, gib, instance_memory

STATE_STYLES: Final = {
    InstanceState.READY: "$text-success",
    InstanceState.ASLEEP: "$primary",
    InstanceState.FAILED: "$text-error",
    InstanceState.BACKOFF: "$text-error",
    InstanceState.STARTING: "$text-warning",
    InstanceState.PENDING: "$text-warning",
}
_INDENT: Final = " " * 11


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


def upstream_line(one: UpstreamView) -> Content:
    """An upstream: health, address, what the model is called there, load."""
    mark, style = _health(one)
    busy = f"{one.requests_in_flight}/{one.most_requests} busy"
    text = f"{harmless(one.base_url)}  {harmless(one.model)}  {busy}"
    return Content.assemble((f"{mark:<10} ", style), text)


def upstream_lines(one: UpstreamView, now: float) -> Iterator[Content]:
    """The same, then the rest of it, and why where it takes no requests."""
    yield upstream_line(one)
    key = "with a key" if one.has_key else "without a key"
    asked = f"asked {ago(one.checked_at, now)}" if one.checked_at else "not asked yet"
    about = f"{_INDENT}{one.id}, weight {one.weight:g}, {key}, {asked}"
    yield Content.styled(about, "$text-muted")
    if one.reason:
        yield Content.styled(f"{_INDENT}{harmless(one.reason)}", "$text-error")


def _health(one: UpstreamView) -> tuple[str, str]:
    if one.healthy:
        return "● healthy", "$text-success"
    if one.reason is None:
        return "◌ unknown", "$text-muted"
    return "✗ down", "$text-error"
