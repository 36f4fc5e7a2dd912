"""What is opened first and closed last: the store, and the books in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from hydra_box.config import Paths, Settings
from hydra_box.errors import DiskFull, HydraError
from hydra_box.plan.energy import ShareEnergy
from hydra_box.store import Store
from hydra_box.store.room import give_room
from hydra_box.usage import UsageBooks, UsageJournal

log = logging.getLogger(__name__)


async def open_store(paths: Paths) -> Store:
    """The store, also on a disk that has no room but what was kept for this."""
    try:
        return await Store.open(paths.database, backups=paths.backups)
    except DiskFull as error:
        if not await asyncio.to_thread(give_room, paths.home):
            raise
        log.error("the disk is full, and the room that was kept for it is used: %s", error.message)
    return await Store.open(paths.database, backups=paths.backups)


async def open_books(
    store: Store, paths: Paths, settings: Settings, share_energy: ShareEnergy
) -> UsageBooks:
    """The books, with what an earlier daemon left in their journal."""
    usage = UsageBooks(
        store, UsageJournal(paths.usage_journal), settings, share_energy=share_energy
    )
    await usage.replay()
    return usage


async def close_room(close: Callable[[], Awaitable[None]]) -> None:
    """End a room; a store that cannot be written keeps no daemon from being followed by another."""
    try:
        await close()
    except HydraError as error:
        log.error("not everything was stored at the end: %s", error.message)
