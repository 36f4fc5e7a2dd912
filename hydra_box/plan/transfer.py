"""Decisions of a download: how much to ask for, when to try again, whether there is room."""

from __future__ import annotations

LONGEST_ASKED_DELAY_SECONDS = 300.0
"""A hub that asks for a longer pause is asked again after this one."""
SMALLEST_SHARE = 8
"""A range is never smaller than a part divided by this: each costs a round trip."""


def retry_delay(
    failures: int, first_seconds: float, longest_seconds: float, asked_seconds: float | None
) -> float:
    """Seconds to wait before the next try: 1, 2, 4 ..., or longer where the hub asks for it.

    Args:
        failures: tries that failed in a row, 1 or more.
        first_seconds: the delay after the first of them.
        longest_seconds: what the doubled delay is cut to.
        asked_seconds: what the hub asked for (``Retry-After``), if it did.
    """
    doubled = min(first_seconds * 2.0 ** min(failures - 1, 32), longest_seconds)
    return max(doubled, min(asked_seconds or 0.0, LONGEST_ASKED_DELAY_SECONDS))


def range_blocks(missing_blocks: int, connections: int, part_blocks: int) -> int:
    """How many blocks the next request asks for.

    A whole part at first, and less towards the end of a file, so that all connections finish at
    about the same time.
    """
    share = -(-missing_blocks // connections)
    return max(1, part_blocks // SMALLEST_SHARE, min(share, part_blocks))


def has_room(free_bytes: int, reserve_bytes: int, needed_bytes: int) -> bool:
    """Whether so many bytes fit on a disk, and the reserve stays free."""
    return needed_bytes <= max(free_bytes - reserve_bytes, 0)
