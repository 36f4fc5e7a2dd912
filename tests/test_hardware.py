"""The machine as it is found: the real pynvml over a small library of our own, and psutil."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from hydra_box.cgroup_memory import MemoryRoom, memory_room
from hydra_box.hardware import NVIDIA_VENDOR, _has_nvidia_device, snapshot
from hydra_box.types import Gpu, GpuCondition, Machine

SOURCE = Path(__file__).parent / "fakes" / "nvml.c"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
ASK = (
    "import sys, msgspec; from pathlib import Path; from hydra_box.hardware import snapshot; "
    "sys.stdout.buffer.write(msgspec.json.encode(snapshot(Path('/'))))"
)

Look = Callable[[str], Machine]


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Look:
    """Takes a snapshot in a process that finds the fake library."""
    if COMPILER is None:
        pytest.skip("no C compiler to build the fake libnvidia-ml.so.1")
    directory = tmp_path_factory.mktemp("nvml")
    library = directory / "libnvidia-ml.so.1"
    subprocess.run(
        (COMPILER, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE), check=True
    )

    def take(kind: str) -> Machine:
        environ = {**os.environ, "LD_LIBRARY_PATH": str(directory), "FAKE_NVML": kind}
        asked = subprocess.run(
            (sys.executable, "-c", ASK), env=environ, stdout=subprocess.PIPE, check=True, timeout=60
        )
        return msgspec.json.decode(asked.stdout, type=Machine)

    return take


def test_gpu_that_is_there(look: Look) -> None:
    machine = look("present")
    assert machine.gpu_condition is GpuCondition.PRESENT
    assert machine.gpu_message == "1 GPU (NVIDIA GeForce RTX 4090), driver 580.95.05"
    assert (machine.driver_version, machine.cuda_version) == ("580.95.05", "13.0")
    assert machine.gpus == (
        Gpu(
            uuid="GPU-11111111-2222-3333-4444-555555555555",
            index=0,
            name="NVIDIA GeForce RTX 4090",
            total_bytes=24 * 2**30,
            free_bytes=22 * 2**30,
            utilization_percent=37,
            temperature_celsius=41,
            power_watts=65.5,
            compute_capability=(8, 9),
        ),
    )


def test_readings_that_a_gpu_does_not_have_are_left_out(look: Look) -> None:
    (gpu,) = look("old").gpus
    assert (gpu.utilization_percent, gpu.temperature_celsius, gpu.power_watts) == (None,) * 3


@pytest.mark.parametrize(
    ("kind", "condition", "words"),
    [
        ("none", GpuCondition.NO_DEVICE, "finds no GPU"),
        ("permission", GpuCondition.NO_PERMISSION, "this user may not use the GPUs"),
        ("mismatch", GpuCondition.DRIVER_MISMATCH, "the old one is still loaded"),
        ("unloaded", GpuCondition.NO_DRIVER, "installed, but not loaded"),
    ],
)
def test_every_condition_is_named_with_a_hint(
    look: Look, kind: str, condition: GpuCondition, words: str
) -> None:
    machine = look(kind)
    assert machine.gpus == ()
    assert machine.gpu_condition is condition
    assert words in machine.gpu_message
    assert "; hint: " in machine.gpu_message


def test_lost_gpu_is_an_alarm_and_does_not_hide_the_other(look: Look) -> None:
    machine = look("lost")
    assert machine.gpu_condition is GpuCondition.GPU_LOST
    assert machine.gpu_message.startswith("1 of 2 GPUs cannot be used: a GPU has fallen off")
    assert [gpu.index for gpu in machine.gpus] == [0]


def test_this_machine() -> None:
    machine = snapshot(Path("/"))
    assert machine.cpu_model
    assert 1 <= machine.physical_cores <= machine.logical_cores
    assert 0 < machine.ram_available_bytes <= machine.ram_total_bytes
    assert machine.ram_total_bytes <= psutil.virtual_memory().total
    assert 0 < machine.disk_free_bytes <= machine.disk_total_bytes
    assert machine.gpu_message


def test_machine_without_the_library() -> None:
    machine = snapshot(Path("/"))
    if machine.gpu_condition is not GpuCondition.NO_DRIVER:
        pytest.skip(f"this machine has an NVIDIA driver: {machine.gpu_message}")
    assert machine.gpu_message.startswith("no NVIDIA driver: libnvidia-ml.so.1 was not found")
    assert (machine.gpus, machine.driver_version) == ((), None)


def test_disk_of_a_directory_that_is_not_made_yet(tmp_path: Path) -> None:
    assert snapshot(tmp_path / "no" / "such").disk_total_bytes > 0


def test_device_without_a_driver_is_seen_on_the_bus(tmp_path: Path) -> None:
    device = tmp_path / "0000:01:00.0"
    device.mkdir()
    (device / "vendor").write_text(f"{NVIDIA_VENDOR}\n")
    (device / "class").write_text("0x040300\n")
    assert not _has_nvidia_device(tmp_path)
    (device / "class").write_text("0x030200\n")
    assert _has_nvidia_device(tmp_path)


# --- control groups ---------------------------------------------------------


def group(path: Path, **files: object) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / f"memory.{name}").write_text(f"{content}\n")


def test_tightest_limit_above_a_process_counts(tmp_path: Path) -> None:
    stat = "anon 1\ninactive_file 100\nfile 200"
    group(tmp_path / "box" / "app", max="max", current=500, stat=stat)
    group(tmp_path / "box", max=4000, current=1000, stat=stat)
    group(tmp_path, max=8000, current=7500, stat=stat)
    room = memory_room("0::/box/app\n", tmp_path)
    assert room == MemoryRoom(limit_bytes=4000, available_bytes=600)


def test_group_of_the_host_that_is_not_mounted_falls_back_to_the_root(tmp_path: Path) -> None:
    group(tmp_path, max=1000, current=200, stat="inactive_file 0")
    room = memory_room("0::/../kubepods/pod1\n", tmp_path)
    assert room == MemoryRoom(limit_bytes=1000, available_bytes=800)


def test_first_version_of_control_groups(tmp_path: Path) -> None:
    stat = "cache 5\ntotal_inactive_file 10"
    docker = tmp_path / "memory" / "docker"
    group(docker, limit_in_bytes=900, usage_in_bytes=400, stat=stat)
    unlimited = 9_223_372_036_854_771_712
    group(tmp_path / "memory", limit_in_bytes=unlimited, usage_in_bytes=9, stat=stat)
    room = memory_room("3:cpu,cpuacct:/docker\n5:memory:/docker\n", tmp_path)
    assert room == MemoryRoom(limit_bytes=900, available_bytes=510)


@pytest.mark.parametrize("membership", ["", "nonsense\n", "0::/\n", "1:name=systemd:/\n"])
def test_no_limit(tmp_path: Path, membership: str) -> None:
    group(tmp_path, max="max", current=5, stat="inactive_file 0")
    assert memory_room(membership, tmp_path) is None
