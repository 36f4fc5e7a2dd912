"""Numbers, times and states as the console shows them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from hydra_box.messages import InstanceView, ServiceView
from hydra_box.types import (
    CPU,
    DownloadState,
    EngineName,
    InstanceState,
    Machine,
    ServiceStatus,
    Severity,
)

_GIB: Final = 1 << 30
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"

_SPANS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))

STATUS_MARKS: Final = {
    ServiceStatus.DEPLOYING: "◐",
    ServiceStatus.RUNNING: "●",
    ServiceStatus.SCALING: "◑",
    ServiceStatus.STOPPED: "○",
    ServiceStatus.FAILED: "✗",
    ServiceStatus.DELETING: "◌",
}
STATUS_STYLES: Final = {
    ServiceStatus.DEPLOYING: "$text-warning",
    ServiceStatus.RUNNING: "$text-success",
    ServiceStatus.SCALING: "$text-warning",
    ServiceStatus.STOPPED: "$text-muted",
    ServiceStatus.FAILED: "$text-error",
    ServiceStatus.DELETING: "$text-muted",
}
STATE_MARKS: Final = {
    InstanceState.PENDING: "◌",
    InstanceState.STARTING: "◐",
    InstanceState.READY: "●",
    InstanceState.ASLEEP: "◔",
    InstanceState.DRAINING: "◑",
    InstanceState.STOPPING: "◑",
    InstanceState.STOPPED: "○",
    InstanceState.BACKOFF: "!",
    InstanceState.FAILED: "✗",
}
DOWNLOAD_MARKS: Final = {
    DownloadState.QUEUED: "◌",
    DownloadState.DOWNLOADING: "◐",
    DownloadState.PAUSED: "○",
    DownloadState.DONE: "●",
    DownloadState.FAILED: "✗",
}
SEVERITY_MARKS: Final = {Severity.INFO: "·", Severity.WARNING: "!", Severity.ERROR: "✗"}


def gib(count_bytes: float) -> str:
    """Memory in GiB, without the unit; what is there and rounds to nothing is ``<0.1``."""
    if 0 < count_bytes < _GIB / 20:
        return "<0.1"
    return f"{count_bytes / _GIB:,.1f}"


def short(number: float) -> str:
    """A number in four characters or fewer: ``12``, ``3.4k``, ``12M``."""
    for unit in ("", "k", "M", "G"):
        if abs(number) < 999.5:
            digits = 1 if unit and abs(number) < 9.95 else 0
            return f"{number:.{digits}f}{unit}"
        number /= 1000
    return f"{number:.0f}T"


def latency(seconds: float | None) -> str:
    """A TTFT: ``84 ms``, ``1.2 s``."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def sparkline(values: Sequence[float], width: int) -> str:
    """The last ``width`` values as blocks, as high as the highest of them."""
    shown = list(values)[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return "·" * len(shown)
    steps = len(_BLOCKS) - 1
    return "".join(_BLOCKS[max(1 if one > 0 else 0, round(one / top * steps))] for one in shown)


def status(view: ServiceView) -> str:
    """A service's status, with a mark that tells it without colour; ``asleep`` is RUNNING, too."""
    if view.asleep:
        return f"{STATE_MARKS[InstanceState.ASLEEP]} asleep"
    return f"{STATUS_MARKS[view.status]} {view.status.value}"


def status_style(view: ServiceView) -> str:
    """The colour of that."""
    return "$primary" if view.asleep else STATUS_STYLES[view.status]


def ready(view: ServiceView) -> str:
    """Instances that are ready of those that are wanted, then upstreams that are healthy."""
    there = f"{sum(one.healthy for one in view.upstreams)}/{len(view.upstreams)}"
    if view.engine is EngineName.UPSTREAM:
        return there
    here = f"{view.ready_instances}/{view.desired_instances}"
    return f"{here}+{there}" if view.upstreams else here


def memory_bytes(view: ServiceView) -> int:
    """What a service's instances were measured to take, on all devices."""
    return sum(one.measured_bytes for each in view.instances for one in each.memory)


def instance_memory(one: InstanceView) -> tuple[int, int]:
    """Predicted and measured bytes of an instance, on all its devices."""
    return (
        sum(each.predicted_bytes for each in one.memory),
        sum(each.measured_bytes for each in one.memory),
    )


def device(word: str, machine: Machine | None) -> str:
    """An instance's devices: ``CPU``, ``GPU 0,1``; one that the machine has not by its UUID."""
    if word in ("", CPU):
        return "CPU" if word else "-"
    numbers = {one.uuid: str(one.index) for one in machine.gpus} if machine else {}
    uuids = word.split(",")
    if all(one in numbers for one in uuids):
        return f"GPU {','.join(numbers[one] for one in uuids)}"
    return ",".join(one[:12] for one in uuids)


def cut(text: str, width: int) -> str:
    """The text in at most so many characters."""
    return textwrap.shorten(text, width, placeholder="…") if len(text) > width else text


def span(seconds: float) -> str:
    """A time span in its largest unit, rounded: ``30 d``, ``5 min``."""
    for length, unit in _SPANS:
        if seconds >= length:
            return f"{round(seconds / length):,} {unit}"
    return f"{max(0, int(seconds))} s"


def ago(at: float | None, now: float) -> str:
    """How long ago it was: ``3 min ago``; None: ``never``."""
    if at is None:
        return "never"
    return "just now" if now - at < 10 else f"{span(now - at)} ago"
