"""The machine without its GPUs, and the search for GPUs where there is no NVML."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from hydra_box.hardware import Probe, snapshot
from hydra_box.hardware.conditions import NVIDIA_VENDOR, has_nvidia_device
from hydra_box.hardware.host import CpuLoad, count_numa_nodes, parse_cpuinfo
from hydra_box.types import GpuCondition


def test_this_machine() -> None:
    machine = snapshot(Path("/"))
    assert machine.cpu_model
    assert 1 <= machine.physical_cores <= machine.logical_cores
    assert machine.numa_nodes >= 1
    assert 0 < machine.ram_available_bytes <= machine.ram_total_bytes
    assert machine.ram_total_bytes <= psutil.virtual_memory().total
    assert 0 < machine.disk_free_bytes <= machine.disk_total_bytes
    assert machine.gpu_message
    assert machine.cpu_percent is None


def test_features_are_those_that_the_kernel_tells() -> None:
    words = Path("/proc/cpuinfo").read_text().split()
    features = snapshot(Path("/")).cpu_features
    assert features
    assert set(features) <= set(words)


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
    assert not has_nvidia_device(tmp_path)
    (device / "class").write_text("0x030200\n")
    assert has_nvidia_device(tmp_path)


def test_first_processor_tells_for_all() -> None:
    text = "model name\t: A: B\nflags\t\t: fpu avx2\n\nmodel name\t: C\nflags\t: x\n"
    assert parse_cpuinfo(text) == {"model name": "A: B", "flags": "fpu avx2"}


def test_numa_nodes_of_memory_alone_do_not_count(tmp_path: Path) -> None:
    for name, cpus in (("node0", "0-63"), ("node1", "64-127"), ("node2", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cpulist").write_text(f"{cpus}\n")
    assert count_numa_nodes(tmp_path) == 2
    assert count_numa_nodes(tmp_path / "none") == 1


def test_load_is_that_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(psutil.cpu_times())
    zeros = dict.fromkeys(kind._fields, 0.0)
    told = iter(
        kind(**{**zeros, **one})
        for one in (
            {"user": 10.0, "idle": 100.0, "guest": 5.0},
            {"user": 11.0, "system": 2.0, "idle": 104.0, "iowait": 1.0, "guest": 6.0},
            {"user": 11.0, "system": 2.0, "idle": 104.01, "iowait": 1.0, "guest": 6.0},
        )
    )
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(told))
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    load = CpuLoad()
    assert load.percent() is None
    assert load.percent() == 37.5
    assert load.percent() == 37.5, "too short a time to tell a new one"


def test_probe_is_used_again_after_it_was_closed() -> None:
    probe = Probe(Path("/"))
    probe.look()
    probe.close()
    assert probe.look().cpu_model
    probe.close()
