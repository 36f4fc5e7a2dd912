"""What ``doctor`` says of the clock: keys, quotas and the books are by it."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Final

from hydra_box.doctor.findings import ERROR, INFO, WARNING, finding
from hydra_box.plan.words import time_left
from hydra_box.types import Finding

CHECK: Final = "clock"
BEHIND_SECONDS: Final = 5.0
"""What may lie between an event and its row, or two processors."""
TIME_ERROR: Final = 5
"""adjtimex(2): nobody has set the clock by a reliable one, or that was long ago."""
TIMEX_LONGS: Final = 64
"""More than ``struct timex`` has, on every architecture."""
SYNCHRONIZED: Final = Path("/run/systemd/timesync/synchronized")


def check_clock(now: float, newest_event: float | None, *, synchronized: bool | None) -> Finding:
    """Whether the clock can be right.

    Args:
        now: what it says, Unix time.
        newest_event: when the box last noted something, by the same clock then.
        synchronized: whether it follows a time server; None: that is not known.
    """
    hint = "set the clock, and let it follow a time server: timedatectl set-ntp true"
    if newest_event is not None and newest_event - now > BEHIND_SECONDS:
        behind = time_left(round(newest_event - now))
        text = f"it is {behind} behind the last event of this box: it was set back, or is wrong"
        return finding(CHECK, ERROR, text, hint)
    if synchronized is False:
        text = "it does not follow a time server, as far as the kernel knows"
        return finding(CHECK, WARNING, text, "timedatectl set-ntp true, or install chrony")
    if synchronized is None:
        return finding(CHECK, INFO, "not behind the last event of this box")
    return finding(CHECK, INFO, "it follows a time server")


def follows_time_server() -> bool | None:
    """Whether the kernel's clock is synchronised; None: it does not say."""
    if SYNCHRONIZED.exists():
        return True
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    # All zeros asks for no change, which every user may.
    state = adjtimex(ctypes.byref((ctypes.c_long * TIMEX_LONGS)()))
    return None if state < 0 else bool(state != TIME_ERROR)
