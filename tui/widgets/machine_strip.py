"""This machine in a few lines: each GPU, the CPU, the memory; who holds what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from textual.content import Content
from textual.widgets import Static

from hydra_box.messages import ServiceView
from hydra_box.types import CPU, Gpu, GpuCondition, Machine
from tui.seen import is_seen
from tui.session import session_of
from tui.widgets.memory_bar import memory_bar
from tui.words import cut, gib

_NAME: Final = 15
_NARROW: Final = 100


class MachineStrip(Static):
    """A line for each GPU that is there or lost, one for CPU and RAM."""

    def on_mount(self) -> None:
        """Follow the machine."""
        session_of(self).machine_changed.subscribe(self, lambda _: self._show())
        self._show()

    def on_resize(self) -> None:
        """Bars are as long as there is room."""
        self._show()

    def _show(self) -> None:
        if not is_seen(self.screen):
            return
        state = session_of(self).state
        if state.machine is None:
            self.update(Content("looking at the machine ..."))
            return
        own = own_bytes(state.services.values())
        self.update(Content("\n").join(_lines(state.machine, own, self.size.width)))


def own_bytes(services: Iterable[ServiceView]) -> dict[str, int]:
    """Device to the bytes that the instances of all services were measured to take of it."""
    own: dict[str, int] = {}
    for view in services:
        for instance in view.instances:
            for each in instance.memory:
                own[each.device] = own.get(each.device, 0) + each.measured_bytes
    return own


def _lines(machine: Machine, own: dict[str, int], width: int) -> Iterator[Content]:
    bar = max(7, min(40, width - (71 if width < _NARROW else 84)))
    for gpu in machine.gpus:
        yield _gpu(gpu, own.get(gpu.uuid, 0), bar, width)
    for lost in machine.lost_gpus:
        yield Content.styled(f"✗ GPU {lost.index} {lost.message}", "$text-error")
    quiet = (GpuCondition.PRESENT, GpuCondition.NO_DRIVER, GpuCondition.NO_DEVICE)
    if machine.gpu_condition not in quiet and not machine.lost_gpus:
        yield Content.styled(f"! {machine.gpu_message}", "$text-warning")
    yield _host(machine, own.get(CPU, 0), bar, width)


def _gpu(gpu: Gpu, own: int, bar: int, width: int) -> Content:
    used = max(gpu.used_bytes, own)
    name = gpu.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
    title = f"GPU {gpu.index} {name}" + (f" {gpu.mig_profile}" if gpu.mig_profile else "")
    parts: list[Content | str] = [
        f"{cut(title, _NAME):<{_NAME}} ",
        memory_bar(others=used - own, ours=own, free=gpu.total_bytes - used, width=bar),
        _figures(own, used - own, gpu.total_bytes - used),
    ]
    parts.append(_load(gpu, with_limit=width >= _NARROW))
    return Content.assemble(*parts)


def _load(gpu: Gpu, *, with_limit: bool) -> str:
    """How busy, how hot, how much power; what is not told is left out."""
    words = []
    if gpu.utilization_percent is not None:
        words.append(f" {gpu.utilization_percent:>3} %")
    if gpu.temperature_celsius is not None:
        words.append(f" {gpu.temperature_celsius:>2} °C")
    if gpu.power_watts is not None:
        shown = with_limit and gpu.power_limit_watts is not None
        limit = f"/{gpu.power_limit_watts:.0f}" if shown else ""
        words.append(f" {gpu.power_watts:>3.0f}{limit} W")
    return "".join(words)


def _host(machine: Machine, own: int, bar: int, width: int) -> Content:
    used = max(machine.ram_total_bytes - machine.ram_available_bytes, own)
    free = machine.ram_total_bytes - used
    busy = "" if machine.cpu_percent is None else f" {machine.cpu_percent:>3.0f} %"
    cores = f"  {machine.logical_cores} threads" if width >= _NARROW else ""
    return Content.assemble(
        f"{'CPU and RAM':<{_NAME}} ",
        memory_bar(others=used - own, ours=own, free=free, width=bar),
        _figures(own, used - own, free),
        busy,
        cores,
    )


def _figures(own: int, others: int, free: int) -> str:
    return f"{gib(own):>5} ours{gib(others):>5} others{gib(free):>6} free GiB"
