"""Looks at the machine that end, also when the GPUs' driver hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from hydra_box.hardware.conditions import silent
from hydra_box.hardware.nvml import GpuReport
from hydra_box.types import GpuLoss, Machine

LOOK_TIMEOUT_SECONDS = 10.0
"""A look takes milliseconds, opening NVML with many GPUs seconds; a driver that hangs, forever."""


def in_a_thread(look: Callable[[], Machine]) -> Future[Machine]:
    """Start it; unlike a pool's, this thread cannot keep the program from ending."""
    future: Future[Machine] = Future()

    def work() -> None:
        future.set_running_or_notify_cancel()
        try:
            machine = look()
        except BaseException as error:  # noqa: BLE001 - it is raised where the look is awaited
            future.set_exception(error)
        else:
            future.set_result(machine)

    threading.Thread(target=work, name="machine-look", daemon=True).start()
    return future


def all_lost(before: Machine | None, waited_seconds: float) -> GpuReport:
    """What to say of the GPUs when their driver does not answer."""
    trouble = silent(waited_seconds)
    losses = {one.index: one for one in before.lost_gpus} if before else {}
    for gpu in before.gpus if before else ():
        losses[gpu.index] = GpuLoss(
            index=gpu.index,
            uuid=gpu.parent_uuid or gpu.uuid,
            condition=trouble.condition,
            message=trouble.message,
        )
    return GpuReport(
        condition=trouble.condition, message=trouble.message, lost=tuple(losses.values())
    )
