"""The daemon's pulse for the service manager: a ping while it is well, a line of what it does.

The pings come from the event loop itself, so a loop that stands still stops them, and the manager
replaces the daemon. Engines do not notice: the next daemon adopts them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from hydra_box.messages import ServiceView
from hydra_box.shown.doing import doing
from hydra_box.systemd.notify import Notifier
from hydra_box.types import ServiceStatus

STATUS_SECONDS: Final = 2.0

SERVING: Final = (ServiceStatus.RUNNING, ServiceStatus.SCALING)


@asynccontextmanager
async def heartbeat(
    notifier: Notifier, *, is_well: Callable[[], bool], describe: Callable[[], str]
) -> AsyncIterator[None]:
    """Ping the manager and tell it what the daemon does, for as long as the block runs.

    Args:
        notifier: what speaks to the manager; where there is none, nothing is done.
        is_well: whether the daemon can go on; while it cannot, there is no ping.
        describe: one line of what the daemon does now.
    """
    if not notifier.listens:
        yield
        return
    beating = asyncio.create_task(_beat(notifier, is_well, describe))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait([beating])
        if not beating.cancelled():
            beating.result()


async def _beat(
    notifier: Notifier, is_well: Callable[[], bool], describe: Callable[[], str]
) -> None:
    pause = min(notifier.watchdog or STATUS_SECONDS, STATUS_SECONDS)
    while True:
        if notifier.watchdog is not None and is_well():
            notifier.ping()
        notifier.status(describe())
        await asyncio.sleep(pause)


def describe(services: Sequence[ServiceView]) -> str:
    """What ``systemctl status`` says of the services, in one line.

    1. None is there, or all are stopped.
    2. All that should serve do.
    3. Some do not yet: how many do, and what one of the others is doing.
    """
    wanted = [one for one in services if one.status is not ServiceStatus.STOPPED]
    if not wanted:
        return f"answers; no service runs, {len(services)} are stopped" if services else "answers"
    serving = sum(one.status in SERVING for one in wanted)
    if serving == len(wanted):
        return f"{serving} services serve" if serving != 1 else "1 service serves"
    waiting = next(one for one in wanted if one.status not in SERVING)
    told = waiting.reason or doing(waiting) or waiting.status.value
    return f"{serving} of {len(wanted)} services serve; {waiting.name}: {told}"
