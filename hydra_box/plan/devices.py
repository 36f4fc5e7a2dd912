"""Which device an instance runs on."""

from __future__ import annotations

from collections.abc import Sequence

from hydra_box.errors import EngineUnavailable
from hydra_box.types import Accelerator, Machine

CPU = "cpu"


def choose_device(machine: Machine, accelerator: Accelerator, in_use: Sequence[str]) -> str:
    """``cpu``, or the UUID of the GPU with the fewest instances, then the most free memory.

    Args:
        machine: what is there now.
        accelerator: what the runtime computes on.
        in_use: the device of every instance that has a process.

    Raises:
        EngineUnavailable: the runtime needs a GPU and none is there. The CPU never takes its
            place in silence.
    """
    if accelerator is Accelerator.CPU:
        return CPU
    if not machine.gpus:
        raise EngineUnavailable(
            f"the runtime computes on a GPU, and none is there: {machine.gpu_message}",
            hint="hydra-box doctor",
        )
    best = min(machine.gpus, key=lambda gpu: (in_use.count(gpu.uuid), -gpu.free_bytes, gpu.uuid))
    return best.uuid
