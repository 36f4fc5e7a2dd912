"""A log on a full disk: rotating it makes room instead of needing some."""

from __future__ import annotations

from pathlib import Path

from hydra_box.process import rotate

FULL = Path("/dev/full")
"""Every write to it fails with "No space left on device" (full(4))."""


def test_a_log_is_emptied_where_there_is_no_room_for_its_copy(tmp_path: Path) -> None:
    log = tmp_path / "demo-00000001.log"
    log.write_bytes(b"a line\n" * 100)
    older = tmp_path / "demo-00000001.log.1"
    older.symlink_to(FULL)
    assert rotate(log, limit_bytes=10)
    assert log.read_bytes() == b""
    assert not older.is_symlink()
