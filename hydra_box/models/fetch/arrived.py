"""What of a download is on the disk, while nobody fetches it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from hydra_box.models import partial
from hydra_box.models.hub_cache import HubCache
from hydra_box.types import ModelFile


def arrived_bytes(cache: HubCache, repository: str, files: Iterable[ModelFile]) -> int:
    """Bytes of these files that are on the disk and need not be fetched again."""
    return sum(
        file.size_bytes
        if cache.has(repository, file)
        else partial.arrived_bytes(cache.blob(repository, file.digest or ""), file.size_bytes)
        for file in {file.digest: file for file in files}.values()
    )


def discard(cache: HubCache, repository: str, files: Iterable[ModelFile]) -> int:
    """Remove what has arrived of files that nobody wants any more; whole ones stay.

    Returns:
        The bytes of disk that it took.

    Raises:
        Conflict: a program is fetching one of them.
        OSError: the cache cannot be written.
    """
    freed = sum(partial.remove_partial(cache.blob(repository, file.digest or "")) for file in files)
    blobs = cache.repository(repository) / "blobs"
    with suppress(OSError):
        # Only what is empty is removed.
        blobs.rmdir()
        blobs.parent.rmdir()
    return freed
