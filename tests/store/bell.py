"""Alarms, where a test has no box."""

from __future__ import annotations

import asyncio

from hydra_box.types import Severity


class Bell:
    """Keeps what is raised, by its id; tells when something was cleared."""

    def __init__(self) -> None:
        self.raised: dict[str, str] = {}
        self.ever: list[str] = []
        self.cleared = asyncio.Event()

    def raise_(
        self,
        id: str,
        message: str,
        hint: str | None = None,
        severity: Severity = Severity.WARNING,
    ) -> None:
        """Keep it."""
        self.raised[id] = message
        self.ever.append(id)

    def clear(self, id: str) -> None:
        """Forget it."""
        if self.raised.pop(id, None) is not None:
            self.cleared.set()
