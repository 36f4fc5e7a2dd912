"""A ``Machine`` as what NVML says: for a process, above all a daemon, under the real pynvml.

    nvml = FakeNvml(tmp_path, one_rtx_4090())
    box = RunningBox(home, nvml.environ)
    nvml.lose(uuid)                                # while it runs

A process sees the GPUs of the machine; its CPU, memory and disk are those of the real one.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

from hydra_box.types import Gpu, GpuCondition, GpuLoss, GpuProcess, Machine
from tests.machines import GIB, gpu, machine

SOURCE = Path(__file__).with_name("nvml.c")
NO_PERMISSION = 4
GPU_IS_LOST = 15
POWER_BRAKE = 128
"""Of the reasons why a GPU's clocks are low: the power supply says so."""

_INIT_ERRORS = {
    GpuCondition.NO_PERMISSION: NO_PERMISSION,
    GpuCondition.NO_DRIVER: 12,
    GpuCondition.DRIVER_MISMATCH: 18,
    GpuCondition.ERROR: 999,
}
"""What nvmlInit answers on a machine without GPUs, by its condition; 0 for the others."""


class FakeNvml:
    """NVML for other processes, which see every change at their next look.

    Args:
        directory: where the machine's file is kept; one for each fake.
        machine: what NVML says at first.

    """

    def __init__(self, directory: Path, machine: Machine) -> None:
        self.path = directory / "nvml-machine.txt"
        self.machine = machine
        self.reported: list[tuple[str, int]] = []
        """Every Xid so far, with the UUID of its GPU."""
        self.become(machine)

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs in its environment to see this machine."""
        return {
            "LD_LIBRARY_PATH": str(library().parent),
            "FAKE_NVML_MACHINE": str(self.path),
        }

    def become(self, machine: Machine) -> None:
        """From now on it is this machine."""
        self.machine = machine
        self.write(text_of(machine))

    def write(self, text: str) -> None:
        """From now on it is what the text says, in the format that nvml.c tells."""
        new = self.path.with_suffix(".new")
        xids = (f"xid {uuid} {number}\n" for uuid, number in self.reported)
        new.write_text("".join((*xids, text)))
        new.replace(self.path)

    def change(self, uuid: str, **changes: object) -> None:
        """Change fields of one device."""
        gpus = tuple(
            msgspec.structs.replace(one, **changes) if one.uuid == uuid else one
            for one in self.machine.gpus
        )
        self.become(msgspec.structs.replace(self.machine, gpus=gpus))

    def hold(self, uuid: str, *processes: tuple[int, int]) -> None:
        """Let exactly these processes, each a pid and bytes, hold memory of a device."""
        (before,) = (one for one in self.machine.gpus if one.uuid == uuid)
        let_go = sum(one.used_bytes or 0 for one in before.processes)
        taken = sum(held for _, held in processes)
        self.change(
            uuid,
            free_bytes=before.free_bytes + let_go - taken,
            processes=tuple(GpuProcess(pid=pid, used_bytes=held) for pid, held in processes),
        )

    def lose(self, uuid: str) -> None:
        """Let a GPU fall off the bus: the driver lists it, and every query of it fails."""
        (gone,) = (one for one in self.machine.gpus if one.uuid == uuid)
        loss = GpuLoss(
            index=gone.index, uuid=uuid, condition=GpuCondition.GPU_LOST, message="fell off"
        )
        left = tuple(one for one in self.machine.gpus if one.uuid != uuid)
        self.become(
            msgspec.structs.replace(
                self.machine, gpus=left, lost_gpus=(*self.machine.lost_gpus, loss)
            )
        )

    def report(self, uuid: str, xid: int) -> None:
        """Let a GPU's driver report an error."""
        self.reported.append((uuid, xid))
        self.become(self.machine)

    def remove(self, uuid: str) -> None:
        """Let a GPU vanish: the driver does not even list it any more."""
        left = tuple(one for one in self.machine.gpus if one.uuid != uuid)
        self.become(msgspec.structs.replace(self.machine, gpus=left))

    def hang(self) -> None:
        """Let NVML not answer, until it becomes a machine again."""
        self.write(f"hang\n{text_of(self.machine)}")


@cache
def library() -> Path:
    """The compiled library, built once by each test process."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to build the fake libnvidia-ml.so.1")
    directory = Path(tempfile.mkdtemp(prefix="fake-nvml-"))
    atexit.register(shutil.rmtree, directory)
    built = directory / "libnvidia-ml.so.1"
    flags = ("-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
    subprocess.run((compiler, *flags, "-o", built, SOURCE), check=True)
    return built


def text_of(machine: Machine) -> str:
    """The machine's GPUs in the format that nvml.c tells."""
    lines: list[str] = []
    if not machine.gpus and not machine.lost_gpus:
        lines.append(f"init {_INIT_ERRORS.get(machine.gpu_condition, 0)}")
    if machine.driver_version:
        lines.append(f"driver {machine.driver_version}")
    if machine.cuda_version:
        major, _, minor = machine.cuda_version.partition(".")
        lines.append(f"cuda {int(major) * 1000 + int(minor) * 10}")
    by_index: dict[int, list[str]] = {}
    for one in machine.gpus:
        lines_of_gpu = by_index.setdefault(one.index, [])
        if one.parent_uuid is None:
            lines_of_gpu += _whole(one)
        else:
            lines_of_gpu += _instance(one, is_first=not lines_of_gpu)
    for loss in machine.lost_gpus:
        by_index[loss.index] = list(_lost(loss))
    return "\n".join([*lines, *(line for _, told in sorted(by_index.items()) for line in told), ""])


def mig_slices() -> Machine:
    """An H200 cut into a 4g.71gb and a 3g.71gb MIG instance, beside a whole H200."""
    whole = gpu("NVIDIA H200", 143771, (9, 0), index=1, reserved_mib=700)
    parent = "GPU-00000000-0000-4000-8000-000000000000"
    instances = (
        Gpu(
            uuid=f"MIG-{place:08x}-0000-4000-8000-000000000000",
            index=0,
            name="NVIDIA H200",
            total_bytes=total_bytes,
            free_bytes=total_bytes - GIB // 16,
            temperature_celsius=40,
            compute_capability=(9, 0),
            parent_uuid=parent,
            mig_profile=profile,
        )
        for place, (profile, total_bytes) in enumerate(
            (("4g.71gb", 70 * GIB), ("3g.71gb", 69 * GIB))
        )
    )
    return machine(*instances, whole, ram_gib=256, free_ram_gib=240, cores=32)


def _whole(one: Gpu) -> Iterator[str]:
    yield f"gpu {one.uuid}"
    yield from _fixed(one)
    yield from _memory(one)
    if one.utilization_percent is not None:
        yield f"utilization {one.utilization_percent}"
    if one.power_watts is not None:
        yield f"power {one.power_watts * 1000:.0f}"
    if one.power_limit_watts is not None:
        yield f"power_limit {one.power_limit_watts * 1000:.0f}"
    yield from (f"nvlink {peer}" for peer in one.nvlink_peers)
    yield from (f"pcie {peer}" for peer in one.pcie_peers)


def _instance(one: Gpu, *, is_first: bool) -> Iterator[str]:
    if is_first:
        yield f"gpu {one.parent_uuid}"
        yield from _fixed(one)
        yield "mig_mode 1"
    yield f"mig {one.uuid}"
    yield f"name {one.name} MIG {one.mig_profile}"
    yield from _memory(one)


def _fixed(one: Gpu) -> Iterator[str]:
    yield f"name {one.name}"
    if one.compute_capability is not None:
        yield "capability {}.{}".format(*one.compute_capability)
    if one.pci_bus_id is not None:
        yield f"pci {one.pci_bus_id}"
    if one.numa_node is not None:
        yield f"numa {one.numa_node}"
    if one.temperature_celsius is not None:
        yield f"temperature {one.temperature_celsius}"
    if one.slowdown_celsius is not None:
        yield f"slowdown {one.slowdown_celsius}"
    if one.power_brake:
        yield f"reasons {POWER_BRAKE}"


def _memory(one: Gpu) -> Iterator[str]:
    if not one.shares_ram:
        yield f"total {one.total_bytes}"
        yield f"free {one.free_bytes}"
    for process in one.processes:
        held = "-" if process.used_bytes is None else process.used_bytes
        yield f"process compute {process.pid} {held}"


def _lost(loss: GpuLoss) -> Iterator[str]:
    yield f"gpu {loss.uuid or f'GPU-lost-{loss.index}'}"
    match loss.condition:
        case GpuCondition.MIG_WITHOUT_INSTANCE:
            yield "name NVIDIA GPU"
            yield "mig_mode 1"
        case GpuCondition.NO_PERMISSION:
            yield f"handle_error {NO_PERMISSION}"
        case _:
            yield f"error {GPU_IS_LOST}"
