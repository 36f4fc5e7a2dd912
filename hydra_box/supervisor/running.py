"""One start of an instance: its process, and work that is over when the process is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from hydra_box.errors import HydraError
from hydra_box.process import EngineProcess
from hydra_box.types import Launch, Service

STOP_GRACE_SECONDS = 5.0


@dataclass(eq=False, slots=True)
class Running:
    """One start of an instance, while its process is there."""

    service: Service
    """As it was when the process was started."""
    launch: Launch
    process: EngineProcess
    begun_at: float | None
    """When this start, or the last waking, was begun; monotonic seconds. None: by another daemon,
    nobody knows when."""
    failure: str | None = None
    """Why it was killed, if it was found to be no use any more."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it serves, or its process is over."""
    napping: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it falls asleep or wakes, which follow each other."""

    @property
    def instance_id(self) -> str:
        """Whose start it is."""
        return self.launch.instance_id


async def while_alive(process: EngineProcess, work: Coroutine[Any, Any, None]) -> None:
    """Do some work with a process, which is over when the process is.

    Raises:
        HydraError: as the work, of a process that is still there.
    """
    working = asyncio.create_task(work)
    ended = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({working, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        died = ended.done()
        working.cancel()
        ended.cancel()
        (outcome,) = await asyncio.gather(working, return_exceptions=True)
    if isinstance(outcome, Exception) and not (died and isinstance(outcome, HydraError)):
        raise outcome
