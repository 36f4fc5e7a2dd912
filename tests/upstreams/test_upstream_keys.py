"""The files with the keys of upstreams."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hydra_box.errors import StateError
from hydra_box.upstreams import UpstreamKeys


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "upstreams"
    path.mkdir(mode=0o700)
    return path


def test_a_key_is_kept_replaced_and_forgotten(directory: Path) -> None:
    keys = UpstreamKeys(directory)
    assert keys.read("up-1") is None
    # Whatever the umask of whoever started the daemon.
    before = os.umask(0)
    try:
        keys.write("up-1", "first")
        keys.write("up-1", "second")
    finally:
        os.umask(before)
    assert keys.read("up-1") == "second"
    (path,) = directory.iterdir()
    assert path.name == "up-1.key"
    assert path.stat().st_mode & 0o777 == 0o600
    keys.remove("up-1")
    keys.remove("up-1")
    assert list(directory.iterdir()) == []


def test_what_was_left_is_swept(directory: Path) -> None:
    keys = UpstreamKeys(directory)
    for name in ("up-1.key", "up-2.key", "up-1.new", "readme"):
        (directory / name).write_text("x")
    keys.keep_only(["up-1"])
    assert sorted(path.name for path in directory.iterdir()) == ["readme", "up-1.key"]
    # A write that was broken off does not stand in the way of the next one.
    (directory / "up-1.new").write_text("half")
    keys.write("up-1", "whole")
    assert keys.read("up-1") == "whole"


def test_a_link_is_not_written_through(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("as it was")
    (directory / "up-1.key").symlink_to(target)
    (directory / "up-1.new").symlink_to(target)
    UpstreamKeys(directory).write("up-1", "secret")
    assert target.read_text() == "as it was"
    assert not (directory / "up-1.key").is_symlink()


def test_no_error_has_the_key(directory: Path) -> None:
    keys = UpstreamKeys(directory / "gone")
    with pytest.raises(StateError) as refused:
        keys.write("up-1", "secret")
    assert "secret" not in str(refused.value)
    (directory / "up-1.key").write_bytes(b"\xff\xfe")
    with pytest.raises(StateError, match="it is not ASCII"):
        UpstreamKeys(directory).read("up-1")
