"""A backup of the whole box."""

from __future__ import annotations

from collections.abc import Iterator

from hydra_box.client.base import API, SLOW_ANSWER_SECONDS, Calls


class BackupCalls(Calls):
    """A backup of the whole box."""

    def backup(self) -> Iterator[bytes]:
        """The parts of a backup, which is a tar, as they come."""
        yield from self._connection.parts(
            "GET", f"{API}/backup", silence_seconds=SLOW_ANSWER_SECONDS
        )
