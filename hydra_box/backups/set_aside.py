"""What was left of a database that a backup replaced, as long as it lies there.

The daemon's alarm and ``doctor`` tell of it in the same words.
"""

from __future__ import annotations

import time

from hydra_box.config import Paths
from hydra_box.store import backup
from hydra_box.store.recovery import Recovered
from hydra_box.types import Frozen, Severity


class Left(Frozen, frozen=True, kw_only=True):
    """It has what somebody may want back, and says what may be missing."""

    message: str
    hint: str
    severity: Severity = Severity.WARNING


def find_left(paths: Paths, recovered: Recovered | None = None) -> Left | None:
    """What lies in the state directory. Blocking.

    Args:
        paths: the state directory.
        recovered: what was done at the start of the daemon that asks.

    """
    found = backup.all_set_aside(paths.database)
    if recovered is not None and recovered.damaged in found:
        return _just_recovered(recovered)
    if not found:
        return None
    newest, more = found[-1], len(found) - 1
    return Left(
        message=f"{newest} is of a database that was {backup.state_of(newest)} and was replaced at "
        f"that time{f', and {more} more lie beside it' if more else ''}",
        hint=f"move it out of {paths.home} when nothing of it is needed",
    )


def _just_recovered(recovered: Recovered) -> Left:
    at = time.gmtime(backup.moment(recovered.backup.name))
    made = time.strftime("%Y-%m-%d %H:%M UTC", at)
    return Left(
        message=f"the database was {backup.state_of(recovered.damaged)}, and the backup of {made} "
        f"took its place: what was changed since then is missing, and keys that were revoked, "
        f"disabled or rotated since then may open again ({recovered.why})",
        hint=f"look through services and keys; what was left is {recovered.damaged}: move it away "
        "when it is not needed",
        severity=Severity.ERROR,
    )
