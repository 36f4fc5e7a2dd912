"""What a room tells of what it has done, where a test has no journal."""

from __future__ import annotations

from typing import NamedTuple

from hydra_box.types import Severity


class Said(NamedTuple):
    """One event of a room."""

    kind: str
    message: str
    severity: Severity


class Told:
    """Keeps what is recorded, in order; stands for ``Journal.record``."""

    def __init__(self) -> None:
        self.said: list[Said] = []

    def __call__(self, kind: str, message: str, *, severity: Severity = Severity.INFO) -> None:
        """Keep it."""
        self.said.append(Said(kind, message, severity))

    @property
    def kinds(self) -> list[str]:
        """The kinds of what was said."""
        return [one.kind for one in self.said]
