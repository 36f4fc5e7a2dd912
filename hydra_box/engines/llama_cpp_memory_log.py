"""What llama.cpp says in its log that it allocated: ``CUDA0 KV buffer size = 32.00 MiB``.

It tells from ``--log-verbosity 4`` on, in MiB with two decimals: a line for each kind of buffer
on each device. Source: ``llama-model.cpp``, ``llama-context.cpp``, ``llama-kv-cache.cpp`` and
``llama-memory-recurrent.cpp`` of llama.cpp b11549.
"""

from __future__ import annotations

import re
from enum import StrEnum

from hydra_box.engines.base import MemoryReport
from hydra_box.types import Frozen

MIB = 1 << 20
MAPPED, REPACKED = "CPU_Mapped", "CPU_REPACK"


class BufferKind(StrEnum):
    """What a buffer is for, in llama.cpp's words."""

    MODEL = "model"
    KV = "KV"
    RECURRENT = "RS"
    COMPUTE = "compute"
    OUTPUT = "output"
    LORA = "LoRA"


class Buffer(Frozen, frozen=True, kw_only=True):
    """One buffer."""

    device: str
    """Where llama.cpp says it is: ``CUDA0``; of the RAM ``CPU``, ``CPU_Mapped``, ``CPU_REPACK``,
    ``CUDA_Host``."""
    kind: BufferKind
    size_bytes: int

    @property
    def in_ram(self) -> bool:
        """Whether it is in the RAM, and not on a GPU."""
        return self.device.startswith("CPU") or self.device.endswith("_Host")


_LINE = re.compile(
    rf"(?P<device>[A-Za-z]\w*) +(?P<kind>{'|'.join(BufferKind)}) buffer size = +"
    r"(?P<size>\d+\.\d+) MiB"
)
_START = "load_tensors: loading model tensors"


def buffers(log: str) -> tuple[Buffer, ...]:
    """Every buffer of the model that was loaded last, in the order of the log."""
    # What comes before is the trial of ``--fit on``, which allocates nothing.
    started = log.rfind(_START)
    return tuple(
        Buffer(
            device=match["device"],
            kind=BufferKind(match["kind"]),
            size_bytes=round(float(match["size"]) * MIB),
        )
        for match in _LINE.finditer(log, max(started, 0))
    )


def twice_bytes(found: tuple[Buffer, ...]) -> int:
    """What was read from the file and then repacked, so that the RAM may hold it twice.

    The pages of the file that hold a repacked tensor are not read again, and the kernel takes
    them back when it needs room.
    """
    mapped = sum(one.size_bytes for one in found if one.device == MAPPED)
    repacked = sum(one.size_bytes for one in found if one.device == REPACKED)
    return min(mapped, repacked)


def total_bytes(found: tuple[Buffer, ...]) -> int:
    """All of it, where what is in the RAM twice counts once."""
    return sum(one.size_bytes for one in found) - twice_bytes(found)


def report(log: str) -> MemoryReport | None:
    """What the log says was allocated, on all devices together; None if it does not say.

    Args:
        log: what the process printed since it was started.
    """
    found = buffers(log)
    if not any(one.kind is BufferKind.COMPUTE for one in found):
        return None  # It has not come that far, or says too little.
    return MemoryReport(total_bytes=total_bytes(found), twice_bytes=twice_bytes(found))
