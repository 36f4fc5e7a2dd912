"""The box's own backups of its database: when, where and how many.

A daily copy in the state directory protects against a damaged file and a mistaken hand, not
against the loss of the disk: ``hydra-box backup FILE`` is for that.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hydra_box.alarms import Alarms
from hydra_box.backups.archive import STAGING
from hydra_box.backups.set_aside import find_left
from hydra_box.config import Paths, Settings
from hydra_box.disk import free_bytes, require_room
from hydra_box.errors import DamagedState, HydraError
from hydra_box.store import backup
from hydra_box.store.database import translated
from hydra_box.store.recovery import Recovered
from hydra_box.store.room import keep_room
from hydra_box.types import Severity

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400.0
FRESH_SECONDS = 6 * 3600.0
"""A start makes none when the newest is not older than this."""
RETRY_SECONDS = 3600.0
"""After one that could not be made."""

LOOK_SECONDS = 30.0
"""Between two looks at whether a damaged database still lies in the state directory."""

LEFT_SECONDS = 3600.0
"""A copy that is not ready after so long never gets ready."""

FAILED = "backup.failed"
DAMAGED = "database.damaged"
SET_ASIDE = "database.set-aside"


class Backups:
    """Makes one at the start and every day, and removes the oldest; the one writer there.

    Args:
        paths: where the database and its copies are.
        settings: how many are kept, and how much of the disk stays free.
        alarms: told when none can be made, and as long as a damaged database lies in the state
            directory.
        recovered: what was done when the database was opened.
        clock: Unix time.
        free: tells the free bytes of a path's disk.

    """

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        alarms: Alarms,
        *,
        recovered: Recovered | None = None,
        clock: Callable[[], float] = time.time,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._alarms = alarms
        self._recovered = recovered
        self._clock = clock
        self._free = free
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Make one when one is due, and tell what was set aside, until cancelled."""
        await self._tell_of_set_aside()
        await self._tidy_up()
        await self._keep_room()
        # Not a time of day: the clock may be set back by a year.
        due = time.monotonic() + await asyncio.to_thread(self._seconds_until_due)
        while True:
            if time.monotonic() >= due:
                made = await self.try_to_make()
                due = time.monotonic() + (DAY_SECONDS if made else RETRY_SECONDS)
            await asyncio.sleep(min(LOOK_SECONDS, max(0.0, due - time.monotonic())))
            await self._tell_of_set_aside()

    async def try_to_make(self) -> bool:
        """Make one; whether that went well, which the alarms tell."""
        try:
            await self.make()
        except HydraError as error:
            damaged = isinstance(error, DamagedState)
            self._alarms.raise_(
                DAMAGED if damaged else FAILED,
                f"no backup of the database was made: {error.message}",
                "hydra-box restart goes back to the newest backup" if damaged else error.hint,
                Severity.ERROR if damaged else Severity.WARNING,
            )
            return False
        self._alarms.clear(FAILED)
        self._alarms.clear(DAMAGED)
        await self._keep_room()
        return True

    async def make(self) -> Path:
        """Copy the database, check the copy, and remove the oldest copies beyond the number.

        Raises:
            DamagedState: the database is damaged; no good copy was removed for it.
            DiskFull: too little would stay free on the disk.
            StateError: it cannot be read, or the copy cannot be written.

        """
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._make)

    def _make(self) -> Path:
        with translated(self._paths.backups):
            return self._copy()

    def _copy(self) -> Path:
        if not self._paths.database.exists():
            raise DamagedState(f"{self._paths.database} was removed while the daemon runs")
        require_room(
            "the backup of the database",
            self._paths.backups,
            self._paths.database.stat().st_size,
            self._settings.disk_reserve_bytes,
            hint="free some space there; the backups that exist stay",
            free=self._free,
        )
        target = self._paths.backups / f"{backup.stamp(self._next_moment())}{backup.SUFFIX}"
        backup.copy(self._paths.database, target)
        self._prune()
        return target

    def _next_moment(self) -> float:
        """Now, or later than the newest one where the clock was set back: order is by name."""
        newest = backup.backups_in(self._paths.backups)[:1]
        return max([self._clock(), *(backup.moment(one.name) + 1 for one in newest)])

    def _prune(self) -> None:
        found = backup.backups_in(self._paths.backups)
        daily = [one for one in found if one.name == _plain(one)]
        before_migrations = [one for one in found if one not in daily]
        for kind in (daily, before_migrations):
            for one in kind[self._settings.backup_count :]:
                one.unlink(missing_ok=True)

    def _seconds_until_due(self) -> float:
        found = backup.backups_in(self._paths.backups)
        age = self._clock() - backup.moment(found[0].name) if found else DAY_SECONDS
        # A clock that was set back makes ages that cannot be: then it is not known to be fresh.
        return DAY_SECONDS - age if 0 <= age < FRESH_SECONDS else 0.0

    async def _keep_room(self) -> None:
        try:
            await asyncio.to_thread(keep_room, self._paths.home)
        except HydraError as error:
            log.warning("no room on the disk is kept for the next start: %s", error.message)

    async def _tidy_up(self) -> None:
        try:
            await asyncio.to_thread(self._tidy)
        except HydraError as error:
            log.warning("what broken copies have left stays: %s", error.message)

    def _tidy(self) -> None:
        """Remove what was left by copies that were killed; younger ones may be under way."""
        before = time.time() - LEFT_SECONDS
        directory = self._paths.backups
        with translated(directory):
            for path in (*directory.glob(f"{STAGING}*"), *directory.glob(f"*{backup.SUFFIX}.new")):
                # Another program's own may go while this one looks at it.
                with suppress(FileNotFoundError):
                    if path.lstat().st_mtime > before:
                        continue
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.unlink()

    async def _tell_of_set_aside(self) -> None:
        try:
            left = await asyncio.to_thread(find_left, self._paths, self._recovered)
        except OSError:
            log.exception("%s could not be looked at", self._paths.home)
            return
        if left is None:
            self._alarms.clear(SET_ASIDE)
        else:
            self._alarms.raise_(SET_ASIDE, left.message, left.hint, left.severity)


def _plain(path: Path) -> str:
    """The name that a daily copy of that moment has."""
    return f"{backup.stamp(backup.moment(path.name))}{backup.SUFFIX}"
