"""What a control group leaves of the machine's memory (cgroups(7), versions 1 and 2)."""

from __future__ import annotations

from pathlib import Path

from hydra_box.types import Frozen

ROOT = Path("/sys/fs/cgroup")
UNLIMITED_BYTES = 1 << 60
"""Version 1 has no word for "no limit" but a number about this large."""


class MemoryRoom(Frozen, frozen=True, kw_only=True):
    """What the tightest limit allows."""

    limit_bytes: int
    available_bytes: int


def memory_room(membership: str, root: Path = ROOT) -> MemoryRoom | None:
    """The tightest memory limit over this process.

    Args:
        membership: the text of ``/proc/self/cgroup``.
        root: where the control groups are mounted.

    Returns:
        None when no limit is set.

    """
    rooms = [room for line in membership.splitlines() for room in _rooms(line, root)]
    if not rooms:
        return None
    return MemoryRoom(
        limit_bytes=min(room.limit_bytes for room in rooms),
        available_bytes=min(room.available_bytes for room in rooms),
    )


def _rooms(line: str, root: Path) -> list[MemoryRoom]:
    number, controllers, path = (*line.split(":", 2), "", "")[:3]
    if number == "0" and not controllers:
        names = ("memory.max", "memory.current", "inactive_file")
        base = root
    elif "memory" in controllers.split(","):
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        base = root / "memory"
    else:
        return []
    # A limit of any group above holds too. Inside a container the path may name groups of the
    # host that are not mounted here; the container's own group is then the mounted root.
    group = base / path.strip().lstrip("/")
    inside = [one for one in (group, *group.parents) if one.is_relative_to(base)]
    found = (_room(directory, *names) for directory in inside)
    return [room for room in found if room is not None]


def _room(group: Path, limit_name: str, used_name: str, cache_name: str) -> MemoryRoom | None:
    try:
        limit = int((group / limit_name).read_text(encoding="ascii"))
        used = int((group / used_name).read_text(encoding="ascii"))
        stat = (group / "memory.stat").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None  # No such group here, or "max": no limit.
    if limit >= UNLIMITED_BYTES:
        return None
    pairs = (line.split() for line in stat.splitlines())
    # The kernel drops these file pages first, so that they are as good as free.
    cache = sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == cache_name)
    return MemoryRoom(limit_bytes=limit, available_bytes=max(0, limit - used + cache))
