"""How many descriptors the daemon may have open: shells allow a thousand, a busy box needs more."""

from __future__ import annotations

import resource

WANTED = 65_536
"""As the unit has it; more makes programs slow that close every number they may have."""

PER_CONNECTION = 2
"""A client's, and that to the engine which answers it."""

SPARE = 512
"""For files, logs, engines and the database."""


def take_descriptors(connections: int) -> str | None:
    """Raise this process's limit as far as it may.

    Args:
        connections: how many clients the settings allow at once.

    Returns:
        What is wrong, where the limit is too low for them all the same.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = WANTED
    if soft != resource.RLIM_INFINITY and soft < (raised := min(hard, WANTED)):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    return too_few(min(hard, WANTED), connections)


def too_few(allowed: int, connections: int) -> str | None:
    """Why so many descriptors are not enough; None: they are."""
    needed = PER_CONNECTION * connections + SPARE
    if allowed >= needed:
        return None
    return (
        f"this process may open {allowed:,} files, and {connections:,} connections need "
        f"{needed:,}; hint: raise its hard limit (ulimit -Hn), or lower connection_limit"
    )
