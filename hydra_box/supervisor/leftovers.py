"""What an earlier daemon left of its engines: processes and directories, known by their names.

They are looked for at the start, before anything new has such a name.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection

import psutil

from hydra_box.config import Paths
from hydra_box.plan.adoption import Found
from hydra_box.process import INSTANCE_VARIABLE, find_leftovers
from hydra_box.sessions import born_at, end, leads, session_of, whole_sessions
from hydra_box.types import Instance

REAP_GRACE_SECONDS = 5.0


class Leftovers:
    """What was there when it was made; blocking, as all that it does."""

    def __init__(self, paths: Paths) -> None:
        self._processes = whole_sessions(find_leftovers(paths.home))
        self._directories = [*paths.instances.glob("*"), *paths.run.glob("verify-*")]
        self._paths = paths
        self.leaders = tuple(
            found for one in self._processes if (found := _leader(one)) is not None
        )
        """The processes that an instance may go on in."""

    def reap(self, adopted: Collection[Instance]) -> list[int]:
        """End all processes but those of the ``adopted``, and remove their directories.

        Returns:
            The pids of those that were ended.
        """
        kept = {one.pid for one in adopted if one.pid is not None}
        left = [one for one in self._processes if not _belongs(one, kept)]
        end(left, REAP_GRACE_SECONDS)
        places = {self._paths.instance_socket(one.id).parent for one in adopted}
        for directory in self._directories:
            if directory not in places:
                shutil.rmtree(directory, ignore_errors=True)
        return [one.pid for one in left]


def _leader(process: psutil.Process) -> Found | None:
    with contextlib.suppress(psutil.Error, ProcessLookupError, KeyError):
        if leads(process.pid):
            return Found(
                pid=process.pid,
                created_at=born_at(process.pid),
                instance_id=process.environ()[INSTANCE_VARIABLE],
            )
    return None


def _belongs(process: psutil.Process, kept: Collection[int]) -> bool:
    """Whether a process is of a kept session, or was started by one that is."""
    if session_of(process.pid) in kept:
        return True
    with contextlib.suppress(psutil.Error):
        return any(one.pid in kept for one in process.parents())
    return False
