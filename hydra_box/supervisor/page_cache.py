"""How much of a model's weights the kernel has in memory: what it has need not be read again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from hydra_box.errors import HydraError
from hydra_box.measure import tree, work_done
from hydra_box.models.facts import read_facts
from hydra_box.plan.load_time import NO_WEIGHTS, Weights

_NOT_NOW = (errno.EAGAIN, errno.EOPNOTSUPP)

SAMPLES = 64
"""Places of a file that are looked at: enough to tell a tenth of it from the whole."""


def weights_at(model_path: str) -> Weights:
    """The files of a model, as they lie there now; nothing, of one that cannot be read. Blocking.

    What is wrong with it is told by the start that fails at it.
    """
    path = Path(model_path)
    try:
        root = path if path.is_dir() else path.parent
        found = [_look(root / file.name) for file in read_facts(path).files]
    except (HydraError, OSError):
        return NO_WEIGHTS
    return Weights(
        size_bytes=sum(one.size_bytes for one in found),
        cold_bytes=sum(one.cold_bytes for one in found),
        disk=found[0].disk if found else 0,
    )


def bytes_read(pid: int) -> int:
    """What a process and its descendants have read from disks until now. Blocking."""
    return work_done(tree(pid)).read_bytes


def _look(path: Path) -> Weights:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        cold = sum(not _is_cached(descriptor, at) for at in _places(status.st_size))
        return Weights(
            size_bytes=status.st_size,
            cold_bytes=status.st_size * cold // SAMPLES,
            disk=status.st_dev,
        )
    finally:
        os.close(descriptor)


def _places(size_bytes: int) -> list[int]:
    """The middles of as many equal parts."""
    return [size_bytes * (2 * part + 1) // (2 * SAMPLES) for part in range(SAMPLES)]


def _is_cached(descriptor: int, at: int) -> bool:
    """Whether the page there is in memory, asked by reading a byte only if that needs no disk.

    Of a file system that does not tell, everything counts as on the disk.
    """
    try:
        return os.preadv(descriptor, [bytearray(1)], at, os.RWF_NOWAIT) > 0
    except OSError as error:
        if error.errno in _NOT_NOW:
            return False
        raise
