"""The tables that more than one verb prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hydra_box.cli.memory_bar import figure
from hydra_box.cli.output import ago, style, table
from hydra_box.messages import LOCAL_USER_NAME, InstanceView, ServiceView
from hydra_box.shown.doing import doing
from hydra_box.shown.numbers import duration
from hydra_box.shown.spans import span
from hydra_box.shown.text import harmless
from hydra_box.types import EngineName, InstanceState, Runtime, ServiceStatus

_COLOURS: dict[str, str] = {
    ServiceStatus.RUNNING: "green",
    ServiceStatus.DEPLOYING: "yellow",
    ServiceStatus.SCALING: "yellow",
    ServiceStatus.FAILED: "red",
    InstanceState.READY: "green",
    InstanceState.STARTING: "yellow",
    InstanceState.DRAINING: "yellow",
    InstanceState.BACKOFF: "red",
    InstanceState.FAILED: "red",
}


def state(word: ServiceStatus | InstanceState) -> str:
    """A status or a state in its colour."""
    return style(word.value, fg=_COLOURS.get(word))


def services(views: Sequence[ServiceView]) -> str:
    """One line a service; below it its terms, where they are set, and what it is doing."""
    if not views:
        return "no services yet; hydra-box deploy demo --cpu makes one"
    headers = (
        *("NAME", "STATUS", "READY", "MODEL", "ENGINE", "QUANT"),
        *("CONTEXT", "SLOTS", "ACCESS NAME"),
    )
    rows = [
        (
            view.name,
            f"{state(view.status)}{' (asleep)' if view.asleep else ''}",
            _ready(view),
            view.base_model,
            view.engine.value,
            view.quantization or "-",
            f"{view.context_length:,}" if view.context_length else "-",
            str(view.slots) if view.slots else "-",
            view.access_name,
        )
        for view in views
    ]
    head, *lines = table(headers, rows, right=(2, 6, 7)).split("\n")
    told = [(line, *_terms(view), *_doing(view)) for line, view in zip(lines, views, strict=True)]
    return "\n".join((head, *(line for lines in told for line in lines)))


def _terms(view: ServiceView) -> Iterator[str]:
    """Whose it is, if not the box's owner's, its priority, idle timeout and price."""
    terms = []
    if view.owner_name not in ("", LOCAL_USER_NAME):
        terms.append(f"of {view.owner_name}")
    if view.priority:
        terms.append(f"priority {view.priority}")
    if view.idle_timeout_seconds is not None:
        terms.append(f"sleeps after {span(view.idle_timeout_seconds)}")
    if view.price is not None:
        terms.append(
            f"{view.price.input_per_million:g} for a million prompt tokens, "
            f"{view.price.output_per_million:g} for answered ones"
        )
    if terms:
        yield style(f"  {'; '.join(terms)}", dim=True)


def _doing(view: ServiceView) -> Iterator[str]:
    """How far it is, if it is not complete and that is known."""
    if told := doing(view):
        yield style(f"  {harmless(told)}", fg="yellow")


def _ready(view: ServiceView) -> str:
    """Instances that are ready of those that are wanted; upstreams that are healthy, of all."""
    here = f"{view.ready_instances}/{view.desired_instances}"
    if not view.upstreams and view.engine is not EngineName.UPSTREAM:
        return here
    there = f"{sum(one.healthy for one in view.upstreams)}/{len(view.upstreams)}"
    return there if view.engine is EngineName.UPSTREAM else f"{here} + {there}"


def instances(views: Sequence[ServiceView]) -> str:
    """One line an instance; MEMORY is what its process took, beside what was predicted."""
    headers = (
        *("INSTANCE", "STATE", "PID", "DEVICE", "MEMORY", "PREDICTED"),
        *("REQUESTS", "RESTARTS", "UP"),
    )
    rows = [
        (
            one.id,
            state(one.state),
            str(one.pid or "-"),
            device(one.device),
            *_memory(one),
            f"{one.requests_in_flight}/{one.slots}",
            str(one.restarts),
            "-" if one.uptime_seconds is None else duration(one.uptime_seconds),
        )
        for view in views
        for one in view.instances
    ]
    return table(headers, rows, right=(2, 4, 5, 6, 7)) if rows else ""


def device(word: str) -> str:
    """An instance's devices, short enough for a table: a UUID by its first digits."""
    return ",".join(one[:12] for one in word.split(","))


def _memory(one: InstanceView) -> tuple[str, str]:
    """Measured and predicted, over all its devices."""
    if not one.memory:
        return "-", "-"
    measured = sum(each.measured_bytes for each in one.memory)
    predicted = sum(each.predicted_bytes for each in one.memory)
    return f"{figure(measured, 2)} GiB", f"{figure(predicted, 2)} GiB"


def runtimes(found: Sequence[Runtime]) -> str:
    """One line a runtime."""
    if not found:
        return "no runtimes; hydra-box engines install llama.cpp builds one"
    headers = ("RUNTIME", "VERSION", "ACCELERATOR", "FROM", "VERIFIED", "PINNED", "LOCATION")
    rows = [
        (
            one.id,
            one.version,
            one.accelerator.value,
            one.source.value,
            _verified(one),
            style("pinned", fg="green") if one.pinned else "-",
            one.location,
        )
        for one in found
    ]
    return table(headers, rows)


def _verified(runtime: Runtime) -> str:
    if runtime.problem:
        return style("no", fg="red")
    if runtime.verified_at is None:
        return style("not yet", fg="yellow")
    return style(ago(runtime.verified_at), fg="green")
