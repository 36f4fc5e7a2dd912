"""What of a model is in memory: real files, dropped from the kernel's cache and read again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.plan.load_time import NO_WEIGHTS
from hydra_box.supervisor.page_cache import bytes_read, weights_at


def drop(path: Path) -> None:
    """Have the kernel forget a file, whose pages must be on the disk for that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def test_what_was_read_is_warm_and_what_was_dropped_is_cold(tmp_path: Path) -> None:
    model = Path(shutil.copy(DEMO_MODEL, tmp_path / "model.gguf"))
    size = model.stat().st_size
    model.read_bytes()
    warm = weights_at(str(model))
    assert (warm.size_bytes, warm.cold_bytes) == (size, 0)
    assert warm.disk == model.stat().st_dev
    drop(model)
    cold = weights_at(str(model))
    if not cold.cold_bytes:
        pytest.skip("this file system keeps its files in memory")
    # Its head was read to learn which files it has.
    assert cold.cold_bytes >= size // 2
    model.read_bytes()
    assert weights_at(str(model)) == warm


@pytest.mark.parametrize("name", ["gone.gguf", "empty.gguf", "directory"])
def test_what_cannot_be_read_has_no_weights(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "directory").mkdir()
    assert weights_at(str(tmp_path / name)) == NO_WEIGHTS


def test_what_a_process_reads_from_the_disk_is_counted(tmp_path: Path) -> None:
    model = Path(shutil.copy(DEMO_MODEL, tmp_path / "model.gguf"))
    drop(model)
    cold = weights_at(str(model)).cold_bytes
    if not cold:
        pytest.skip("this file system keeps its files in memory")
    before = bytes_read(os.getpid())
    model.read_bytes()
    assert bytes_read(os.getpid()) - before >= cold // 2
    assert bytes_read(2**22 + 1) == 0
