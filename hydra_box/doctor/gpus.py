"""What ``doctor`` says of the GPUs: which work, which do not, and who holds their memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from hydra_box.doctor.findings import ERROR, INFO, WARNING, finding
from hydra_box.types import Finding, Gpu, GpuCondition, GpuProcess, Machine, Severity

GIB: Final = 1 << 30
SMALL_SHARE: Final = 0.05
"""Of a GPU's memory; a desktop's share is not worth a warning."""
DRIVER_BYTES: Final = 2 * GIB
"""The driver keeps less than this for itself, even on the largest GPUs."""

CHECK: Final = "GPU"


def check_gpus(machine: Machine, ours: Collection[int] | None) -> list[Finding]:
    """The GPUs' state.

    Args:
        machine: as it is now.
        ours: the pids of this box's engines; None: they are not known here.
    """
    return [
        *_state(machine),
        *_mig(machine.gpus),
        *(one for gpu in machine.gpus for one in _holders(gpu, ours)),
    ]


def _state(machine: Machine) -> Iterator[Finding]:
    """A machine without a GPU is in order; one whose GPU cannot be used is not."""
    for loss in machine.lost_gpus:
        yield _told(loss.condition, loss.message)
    if not machine.lost_gpus:
        yield _told(machine.gpu_condition, machine.gpu_message)
    elif machine.gpus:
        whole = sorted({gpu.index for gpu in machine.gpus})
        numbers = ", ".join(map(str, whole))
        yield finding(CHECK, INFO, f"in order: GPU {numbers}")


def _told(condition: GpuCondition, message: str) -> Finding:
    fact, _, hint = message.partition("; hint: ")
    return finding(CHECK, _severity(condition, has_hint=bool(hint)), fact, hint or None)


def _severity(condition: GpuCondition, *, has_hint: bool) -> Severity:
    match condition:
        case GpuCondition.PRESENT:
            return INFO
        case GpuCondition.NO_DRIVER | GpuCondition.NO_DEVICE:
            return WARNING if has_hint else INFO
        case GpuCondition.MIG_WITHOUT_INSTANCE:
            return WARNING
        case _:
            return ERROR


def _mig(gpus: Sequence[Gpu]) -> Iterator[Finding]:
    profiles: dict[int, list[str]] = {}
    for gpu in gpus:
        if gpu.parent_uuid is not None:
            profiles.setdefault(gpu.index, []).append(gpu.mig_profile or "?")
    for index, named in profiles.items():
        text = f"GPU {index} is cut into MIG instances, each a device: {', '.join(named)}"
        yield finding("MIG", INFO, text)


def _holders(gpu: Gpu, ours: Collection[int] | None) -> Iterator[Finding]:
    """1. Processes of others are told, with a warning when they hold much.

    2. So is memory that no visible process holds: those of another container hold it.
    """
    check = "GPU memory"
    others = [one for one in gpu.processes if ours is None or one.pid not in ours]
    held = sum(one.used_bytes or 0 for one in others)
    if others:
        text = (
            f"{_name(gpu)}: {_gib(held)} of {_gib(gpu.total_bytes)} held by "
            f"{'processes' if ours is None else 'others'}: {', '.join(map(_holder, others))}"
        )
        much = ours is not None and held > SMALL_SHARE * gpu.total_bytes
        hint = "end what is not needed; models get what is left" if much else None
        yield finding(check, WARNING if much else INFO, text, hint)
    unseen = gpu.used_bytes - sum(one.used_bytes or 0 for one in gpu.processes)
    if not gpu.shares_ram and unseen > max(DRIVER_BYTES, SMALL_SHARE * gpu.total_bytes):
        text = f"{_name(gpu)}: {_gib(unseen)} held by processes that cannot be seen from here"
        yield finding(check, WARNING, text, "nvidia-smi outside of this container shows them")


def _holder(one: GpuProcess) -> str:
    held = "" if one.used_bytes is None else f" {_gib(one.used_bytes)}"
    return f"{one.name or 'a process'} (pid {one.pid}){held}"


def _name(gpu: Gpu) -> str:
    return f"GPU {gpu.index} MIG {gpu.mig_profile}" if gpu.mig_profile else f"GPU {gpu.index}"


def _gib(count_bytes: int) -> str:
    return f"{count_bytes / GIB:.1f} GiB"
