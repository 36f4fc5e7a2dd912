"""The status of the whole box, put together from its rooms."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hydra_box import __version__
from hydra_box.box import Box
from hydra_box.messages import Attention, BoxStatus
from hydra_box.types import EngineName, Runtime


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
        runtimes={engine.value: runtime_in_use(engine, runtimes) for engine in EngineName},
        services=box.services.list(),
        attention=(*engines_without_runtime(runtimes), *box.services.attention()),
    )


def runtime_in_use(engine: EngineName, runtimes: Sequence[Runtime]) -> str | None:
    """The id of the best runtime that works, of runtimes that are sorted best first."""
    verified = (one.id for one in _of(engine, runtimes) if one.verified_at is not None)
    return next(verified, None)


def engines_without_runtime(runtimes: Sequence[Runtime]) -> list[Attention]:
    """Engines that cannot run: each runtime has a problem, so no verification will help."""
    found = []
    for engine in EngineName:
        ours = _of(engine, runtimes)
        if all(one.problem is not None for one in ours):
            problems = "; ".join(f"{one.id}: {one.problem}" for one in ours)
            found.append(
                Attention(
                    message=f"{engine} has no runtime that works: {problems or 'none is there'}",
                    hint=f"hydra-box engines install {engine}",
                )
            )
    return found


def _of(engine: EngineName, runtimes: Sequence[Runtime]) -> list[Runtime]:
    return [one for one in runtimes if str(one.engine) == str(engine)]
