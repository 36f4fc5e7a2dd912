"""The tables that more than one verb prints."""

from __future__ import annotations

from collections.abc import Sequence

from hydra_box.cli.output import ago, duration, style, table
from hydra_box.messages import KeyView, ServiceView
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
        return "no services yet; hydra-box deploy demo makes one"
    headers = ("NAME", "STATUS", "READY", "MODEL", "ENGINE", "CONTEXT", "SLOTS", "ACCESS NAME")
    rows = [
        (
            view.name,
            state(view.status),
            f"{view.ready_instances}/{view.desired_instances}",
            view.base_model,
            view.engine.value,
            f"{view.context_length:,}",
            str(view.slots),
            view.access_name,
        )
        for view in views
    ]
    return table(headers, rows, right=(2, 5, 6))


def instances(views: Sequence[ServiceView]) -> str:
    """One line an instance."""
    headers = ("INSTANCE", "STATE", "PID", "DEVICE", "REQUESTS", "RESTARTS", "UP")
    rows = [
        (
            one.id,
            state(one.state),
            str(one.pid or "-"),
            one.device,
            f"{one.requests_in_flight}/{one.slots}",
            str(one.restarts),
            "-" if one.uptime_seconds is None else duration(one.uptime_seconds),
        )
        for view in views
        for one in view.instances
    ]
    return table(headers, rows, right=(2, 4, 5)) if rows else ""


def keys(views: Sequence[KeyView]) -> str:
    """One line a key."""
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
            style("valid", fg="green")
            if view.revoked_at is None
            else style(f"revoked {ago(view.revoked_at)}", dim=True),
        )
        for view in views
    ]
    return table(headers, rows)


def runtimes(found: Sequence[Runtime]) -> str:
    """One line a runtime."""
    if not found:
        return "no runtimes; hydra-box engines install llama.cpp builds one"
    headers = ("RUNTIME", "VERSION", "ACCELERATOR", "FROM", "VERIFIED", "LOCATION")
    rows = [
        (
            one.id,
            one.version,
            one.accelerator.value,
            one.source.value,
            _verified(one),
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
