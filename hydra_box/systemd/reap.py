"""What systemd runs when the daemon has ended: engines that nobody stopped any more end here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hydra_box.config import resolve_paths
from hydra_box.process import find_leftovers
from hydra_box.sessions import end
from hydra_box.sockets import lock

GRACE_SECONDS: Final = 5.0

ENGINES_END_TOO: Final = ("success", "timeout")
"""Values of ``$SERVICE_RESULT`` (systemd.exec(5)) after which no daemon follows that could adopt
them: it was told to stop and did, or was too slow at it and was killed."""


def reap(environ: Mapping[str, str]) -> list[int]:
    """End the engines of a box without a daemon; the answer is their pids.

    1. Called by systemd after a daemon that died: they serve on, and the next daemon adopts them.
    2. Called by systemd after a stop, or by hand: they end.

    Raises:
        Conflict: a daemon runs; they are its own.
    """
    if environ.get("SERVICE_RESULT", ENGINES_END_TOO[0]) not in ENGINES_END_TOO:
        return []
    paths = resolve_paths(environ)
    if not paths.lock.exists():
        return []
    with lock(paths):
        engines = list(find_leftovers(paths.home))
        end(engines, GRACE_SECONDS)
    return [one.pid for one in engines]
