"""The status of the whole box, put together from its rooms."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hydra_box import __version__
from hydra_box.box import Box
from hydra_box.messages import Attention, BoxStatus
from hydra_box.types import EngineName, GpuCondition, Machine, Runtime


def box_status(box: Box) -> BoxStatus:
    """What the box is doing now, from memory."""
    runtimes = box.runtimes.list()
    return BoxStatus(
        version=__version__,
        pid=os.getpid(),
        url=box.url,
        started_at=box.started_at,
        state_directory=str(box.paths.home),
        user_id=box.local_user.id,
        runtimes=runtimes_in_use(runtimes),
        services=box.services.list(),
        attention=(
            *gpus_in_trouble(box.sampler.latest()),
            *engines_without_runtime(runtimes),
            *box.services.attention(),
        ),
    )


def runtimes_in_use(runtimes: Sequence[Runtime]) -> dict[str, str | None]:
    """Engine to the best runtime that works, for the engines that are installed."""
    installed = [engine for engine in EngineName if _of(engine, runtimes)]
    return {engine.value: runtime_in_use(engine, runtimes) for engine in installed}


def runtime_in_use(engine: EngineName, runtimes: Sequence[Runtime]) -> str | None:
    """The id of the best runtime that works, of runtimes that are sorted best first."""
    verified = (one.id for one in _of(engine, runtimes) if one.verified_at is not None)
    return next(verified, None)


def gpus_in_trouble(machine: Machine) -> list[Attention]:
    """GPUs that cannot be used although they should; a machine that never had one is in order."""
    told = [one.message for one in machine.lost_gpus]
    if not told and machine.gpu_condition is not GpuCondition.PRESENT:
        told = [machine.gpu_message]
    parts = (message.partition("; hint: ") for message in told)
    return [Attention(message=fact, hint=hint) for fact, _, hint in parts if hint]


def engines_without_runtime(runtimes: Sequence[Runtime]) -> list[Attention]:
    """Engines that are installed and cannot run: each runtime has a problem.

    One that nobody installed is none of them: a plan says when it is needed.
    """
    found = []
    for engine in EngineName:
        ours = _of(engine, runtimes)
        if ours and all(one.problem is not None for one in ours):
            problems = "; ".join(f"{one.id}: {one.problem}" for one in ours)
            found.append(
                Attention(
                    message=f"{engine} has no runtime that works: {problems}",
                    hint=f"hydra-box engines install {engine}",
                )
            )
    return found


def _of(engine: EngineName, runtimes: Sequence[Runtime]) -> list[Runtime]:
    return [one for one in runtimes if str(one.engine) == str(engine)]
