"""A file on the hub, read forwards in pieces that grow."""

from __future__ import annotations

import os

from hydra_box.models.hub_client import HubClient, Snapshot

MOST_PIECE_BYTES = 8 * 1024 * 1024


class RemoteFile:
    """The bytes of one file, fetched as they are read.

    Headers are read a few bytes at a time, so a piece is kept; pieces double, because a header
    that is longer than expected is usually much longer.
    """

    def __init__(
        self, client: HubClient, snapshot: Snapshot, name: str, *, first_piece_bytes: int
    ) -> None:
        self._client = client
        self._snapshot = snapshot
        self._name = name
        self._next_piece = first_piece_bytes
        self._piece = b""
        self._piece_at = 0
        self._position = 0

    def read(self, count: int, /) -> bytes:
        """The next ``count`` bytes, or fewer at the end.

        Raises:
            HydraError: as ``HubClient.read``.

        """
        start = self._position - self._piece_at
        if not 0 <= start <= len(self._piece) - count:
            self._fetch(count)
            start = 0
        data = self._piece[start : start + count]
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int, /) -> int:
        """Skip ``offset`` bytes from here."""
        if whence != os.SEEK_CUR:
            raise ValueError("only forwards")
        self._position += offset
        return self._position

    def _fetch(self, count: int) -> None:
        wanted = max(count, self._next_piece)
        self._next_piece = min(2 * self._next_piece, MOST_PIECE_BYTES)
        self._piece = self._client.read(self._snapshot, self._name, self._position, wanted)
        self._piece_at = self._position
