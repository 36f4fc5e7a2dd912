"""The rows of downloads: in the store first, then in memory, and told."""

from __future__ import annotations

import asyncio
import difflib
import secrets
from collections.abc import Callable

from hydra_box.errors import NotFound
from hydra_box.journal import Journal
from hydra_box.models.wanted import Wanted
from hydra_box.store import Store
from hydra_box.types import Download, DownloadState, ModelFile, Severity

KEPT = 50
"""Finished downloads that are remembered; what they brought is in the library."""

_WORDS = {
    "queued": "is queued",
    "started": "has started",
    "paused": "is paused",
    "done": "is done",
    "failed": "failed",
    "cancelled": "is cancelled",
    "forgotten": "is forgotten",
}


class DownloadRows:
    """Every download; whoever changes one holds ``writing``."""

    def __init__(self, store: Store, journal: Journal, changed: Callable[[], None]) -> None:
        self._store = store
        self._journal = journal
        self._changed = changed
        self._rows: dict[str, Download] = {}
        self.writing = asyncio.Lock()

    async def load(self) -> None:
        """Read the rows of the store, and forget the oldest of those that are done."""
        rows = await self._store.downloads()
        forgotten = [one.id for one in rows if one.state is DownloadState.DONE][:-KEPT]
        for id in forgotten:
            await self._store.delete_download(id)
        self._rows = {one.id: one for one in rows if one.id not in forgotten}

    async def save(self, row: Download, what: str | None = None) -> Download:
        """Insert a row, or replace the one of its id, and tell what has become of it, if that."""
        await self._store.save_download(row)
        self._rows[row.id] = row
        if what is not None:
            self.record(row, what)
            self._changed()
        return row

    def hold(self, row: Download) -> None:
        """Replace a row in memory only: the next daemon finds it as it was."""
        self._rows[row.id] = row
        self._changed()

    async def delete(self, row: Download) -> None:
        """Remove a row."""
        del self._rows[row.id]
        await self._store.delete_download(row.id)

    def record(self, row: Download, what: str) -> None:
        """Note what has become of a download."""
        because = f": {row.reason}" if row.reason else ""
        self._journal.record(
            f"download.{what}",
            f"the download of {row.model} {_WORDS[what]}{because}",
            severity=Severity.ERROR if row.state is DownloadState.FAILED else Severity.INFO,
            download_id=row.id,
        )

    def list(self) -> tuple[Download, ...]:
        """Every download, oldest first."""
        return tuple(self._rows.values())

    def with_id(self, id: str | None) -> Download | None:
        """The row of that id, as it is now."""
        return self._rows.get(id or "")

    def find(self, id: str) -> Download:
        """A row by its id, or by the MODEL that it brings.

        Raises:
            NotFound: with the nearest.
        """
        found = [one for one in self._rows.values() if id in (one.id, one.model)]
        if found:
            # Of one model the newest, and one that is not over before all that are.
            return max(found, key=lambda one: (_unfinished(one), one.created_at))
        names = [one.id for one in self._rows.values()] + [one.model for one in self._rows.values()]
        near = difflib.get_close_matches(id, names, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else "hydra-box models downloads"
        raise NotFound(f"there is no download {id!r}", hint=hint, param="id")

    def same(self, wanted: Wanted) -> Download | None:
        """A download of the same files that is not over."""
        return next(
            (
                one
                for one in filter(_unfinished, self._rows.values())
                if one.repository == wanted.repository
                and one.revision == wanted.revision
                and one.files == wanted.files
            ),
            None,
        )

    def unshared(self, row: Download) -> tuple[ModelFile, ...]:
        """The files of a download that no other one still wants."""
        shared = {
            file
            for other in filter(_unfinished, self._rows.values())
            if other.repository == row.repository
            for file in other.files
        }
        return tuple(one for one in row.files if one not in shared)


def new_row(wanted: Wanted, *, pulled: bool, now: float) -> Download:
    """A download that has just been asked for."""
    return Download(
        id=f"dl-{secrets.token_hex(6)}",
        model=wanted.model,
        repository=wanted.repository,
        revision=wanted.revision,
        branch=wanted.branch,
        format=wanted.format,
        quantization=wanted.quantization,
        files=wanted.files,
        allows_code=wanted.allows_code,
        pulled=pulled,
        created_at=now,
    )


def _unfinished(row: Download) -> bool:
    return row.state is not DownloadState.DONE
