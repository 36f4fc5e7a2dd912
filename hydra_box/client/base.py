"""What every group of calls stands on."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from hydra_box.connection import Connection
from hydra_box.errors import NotFound

API = "/api/v1"
SLOW_ANSWER_SECONDS = 600.0
"""For what may wait until an engine has been started and asked."""
EVENTS_SILENCE_SECONDS = 60.0
"""The daemon sends a sign of life every 15 s."""
LIVE_SILENCE_SECONDS = 30.0
"""A sample comes every second; when the GPUs' driver hangs, after 10 s."""
DRY_RUN: dict[str, Any] = {"dry_run": True}


class Calls:
    """One box, over its connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection


def part_of_path(name: str, ids: Callable[[], Mapping[str, str]], fact: str) -> str:
    """A name, or the id that it has where the name cannot be one part of a path.

    Raises:
        NotFound: the ids had to be asked for, and nothing has the name; the ``fact``.
    """
    fits = "/" not in name and name not in ("", ".", "..")
    return quote(name if fits else id_of(name, ids(), fact), safe="")


def id_of(name: str, ids: Mapping[str, str], fact: str) -> str:
    """The id of what has a name.

    Raises:
        NotFound: nothing has it; the ``fact``, with the nearest names.
    """
    if name in ids:
        return ids[name]
    near = difflib.get_close_matches(name, ids, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else None
    raise NotFound(f"{fact} {name!r}", hint=hint, param="name")
