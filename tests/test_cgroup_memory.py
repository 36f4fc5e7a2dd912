"""What control groups leave of the machine's memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.cgroup_memory import MemoryRoom, memory_room


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
