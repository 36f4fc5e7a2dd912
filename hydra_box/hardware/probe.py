"""A look at the whole machine."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from hydra_box.hardware.host import CpuLoad, Room, read_cpu, read_room
from hydra_box.hardware.nvml import GpuReport, Nvml
from hydra_box.hardware.patience import LOOK_TIMEOUT_SECONDS, all_lost, in_a_thread
from hydra_box.types import Machine


class Probe:
    """Looks at the machine again and again; what cannot change is read once.

    Safe to use from several threads: one look at a time.

    Args:
        disk_path: a path on the disk to measure; the nearest existing parent counts.

    """

    def __init__(self, disk_path: Path) -> None:
        self._disk_path = disk_path
        self._cpu = read_cpu()
        self._load = CpuLoad()
        self._nvml = Nvml()
        self._one_at_a_time = threading.Lock()

    def look(self) -> Machine:
        """What there is now, and what of it is free; blocking, some milliseconds.

        A driver that hangs makes it hang.
        """
        with self._one_at_a_time:
            room = read_room(self._disk_path)
            found = self._nvml.look((room.ram_total_bytes, room.ram_available_bytes))
        return self._machine(room, found)

    def with_gpus(self, found: GpuReport) -> Machine:
        """The machine now, with what is known of its GPUs otherwise; never hangs."""
        return self._machine(read_room(self._disk_path), found)

    def close(self) -> None:
        """Let the GPUs go; a later look opens them again. A look that hangs keeps them."""
        if self._one_at_a_time.acquire(blocking=False):
            try:
                self._nvml.close()
            finally:
                self._one_at_a_time.release()

    def _machine(self, room: Room, found: GpuReport) -> Machine:
        return Machine(
            cpu_model=self._cpu.model,
            physical_cores=self._cpu.physical_cores,
            logical_cores=self._cpu.logical_cores,
            cpu_features=self._cpu.features,
            cpu_percent=self._load.percent(),
            numa_nodes=self._cpu.numa_nodes,
            ram_total_bytes=room.ram_total_bytes,
            ram_available_bytes=room.ram_available_bytes,
            disk_total_bytes=room.disk_total_bytes,
            disk_free_bytes=room.disk_free_bytes,
            gpu_condition=found.condition,
            gpu_message=found.message,
            gpus=found.gpus,
            lost_gpus=found.lost,
            gpu_faults=found.faults,
            driver_version=found.driver_version,
            cuda_version=found.cuda_version,
        )


def snapshot(disk_path: Path, *, timeout_seconds: float = LOOK_TIMEOUT_SECONDS) -> Machine:
    """A single look; never raises for what is wrong with the GPUs.

    Args:
        disk_path: a path on the disk to measure; the nearest existing parent counts.
        timeout_seconds: how long the look may take before the GPUs count as lost.

    """
    with closing(Probe(disk_path)) as probe:
        return next(looks(probe, timeout_seconds=timeout_seconds))


def looks(
    probe: Probe, *, timeout_seconds: float = LOOK_TIMEOUT_SECONDS
) -> Generator[Machine, None, None]:
    """One look after another; one that a driver holds up ends without GPUs, and is waited for."""
    before, under_way = None, in_a_thread(probe.look)
    while True:
        try:
            before = under_way.result(timeout_seconds)
        except TimeoutError:
            before = probe.with_gpus(all_lost(before, timeout_seconds))
        yield before
        if under_way.done():
            under_way = in_a_thread(probe.look)
