"""What of a download is on the disk, while nobody fetches it."""

from __future__ import annotations

from collections.abc import Iterable

from hydra_box.models import partial
from hydra_box.models.hub_cache import HubCache
from hydra_box.types import ModelFile


def arrived_bytes(
    cache: HubCache, repository: str, revision: str, files: Iterable[ModelFile]
) -> int:
    """Bytes of these files of a commit that are on the disk and need not be fetched again."""
    return sum(
        file.size_bytes
        if cache.has(repository, file) or cache.is_linked(repository, revision, file)
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
    cache.tidy(repository)
    return freed
