"""The tables that more than one verb prints."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from datetime import datetime

from hydra_box.cli.memory_bar import WIDTH, figure
from hydra_box.cli.output import ago, style, table
from hydra_box.messages import InstanceView, KeyView, ServiceView
from hydra_box.shown.numbers import count, duration
from hydra_box.types import InstanceState, Runtime, ServiceStatus

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
    """One line a service."""
    if not views:
        return "no services yet; hydra-box deploy demo --cpu makes one"
    headers = (
        *("NAME", "STATUS", "READY", "MODEL", "ENGINE", "QUANT"),
        *("CONTEXT", "SLOTS", "ACCESS NAME"),
    )
    rows = [
        (
            view.name,
            state(view.status),
            f"{view.ready_instances}/{view.desired_instances}",
            view.base_model,
            view.engine.value,
            view.quantization or "-",
            f"{view.context_length:,}",
            str(view.slots),
            view.access_name,
        )
        for view in views
    ]
    return table(headers, rows, right=(2, 6, 7))


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


def keys(views: Sequence[KeyView]) -> str:
    """One line a key, and below it how long it is valid and what it may take, where that is set."""
    if not views:
        return "no keys yet; hydra-box keys create --name NAME makes one"
    headers = ("NAME", "KEY", "SCOPES", "CREATED", "LAST USED", "STATE")
    rows = [
        (
            view.name,
            view.masked,
            ",".join(view.scopes),
            ago(view.created_at),
            ago(view.last_used_at),
            _key_state(view),
        )
        for view in views
    ]
    head, *lines = table(headers, rows).split("\n")
    told = [(line, *_conditions(view)) for line, view in zip(lines, views, strict=True)]
    return "\n".join((head, *(line for lines in told for line in lines)))


def _key_state(view: KeyView) -> str:
    if view.revoked_at is not None:
        return style(f"revoked {ago(view.revoked_at)}", dim=True)
    if view.expires_at is not None and view.expires_at <= time.time():
        return style("expired", fg="yellow")
    return style("valid", fg="green")


def _conditions(view: KeyView) -> list[str]:
    """What a key is made with beside its scopes, in lines that fit under its own."""
    limits = view.limits
    told: list[str] = []
    if view.expires_at is not None:
        until = datetime.fromtimestamp(view.expires_at).astimezone()
        told.append(f"until {until:%Y-%m-%d %H:%M}")
    if view.models:
        told.append(f"models {', '.join(view.models)}")
    if limits.requests_per_minute is not None:
        told.append(f"{count(limits.requests_per_minute, 'request')} a minute")
    if limits.tokens_per_minute is not None:
        told.append(f"{count(limits.tokens_per_minute, 'token')} a minute")
    if limits.concurrent_requests is not None:
        told.append(f"{count(limits.concurrent_requests, 'request')} at once")
    lines = textwrap.wrap(
        "; ".join(told),
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [style(line, dim=True) for line in lines]


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
