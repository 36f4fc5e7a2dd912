"""Fetches under way: each on a thread of its own, watched from the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from hydra_box.config import Settings
from hydra_box.downloads.speed import Speed
from hydra_box.models.fetch import Fetch, FetchLimits, RateLimit, arrived_bytes, discard
from hydra_box.models.hub_cache import HubCache
from hydra_box.types import Download, DownloadState, ModelFile, Transfer


class Transfers:
    """Runs the fetches of downloads; knows how far and how fast each is."""

    def __init__(
        self,
        *,
        cache: HubCache,
        settings: Settings,
        environ: Mapping[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._environ = environ
        self._monotonic = monotonic
        self._threads = ThreadPoolExecutor(settings.download_jobs, thread_name_prefix="download")
        self._rate = RateLimit(settings.download_limit_bytes_per_second)
        self._limits = FetchLimits(
            connections=settings.download_connections, reserve_bytes=settings.disk_reserve_bytes
        )
        self._fetches: dict[str, Fetch] = {}
        self._speeds: dict[str, Speed] = {}
        self._stopping = False

    async def fetch(self, download: Download) -> None:
        """Return when every file of a download is in the cache, and has its checksum.

        Raises:
            Stopped: ``stop`` was called.
            HydraError: it cannot go on.
        """
        fetch = Fetch(
            self._environ,
            self._cache,
            download.repository,
            download.revision,
            download.files,
            limits=self._limits,
            rate=self._rate,
        )
        self._fetches[download.id], self._speeds[download.id] = fetch, Speed()
        if self._stopping:
            fetch.stop()
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, fetch.run)
        finally:
            del self._fetches[download.id], self._speeds[download.id]

    def stop(self, download_id: str) -> None:
        """Have a fetch end soon, and keep what has arrived."""
        if fetch := self._fetches.get(download_id):
            fetch.stop()

    def stop_all(self) -> None:
        """Have every fetch end soon, and one that only begins at once."""
        self._stopping = True
        for fetch in self._fetches.values():
            fetch.stop()

    def close(self) -> None:
        """Let the threads go; nothing is being fetched any more."""
        self._threads.shutdown()

    def sample(self, download_id: str) -> None:
        """Note how far a fetch is now."""
        if fetch := self._fetches.get(download_id):
            self._speeds[download_id].note(self._monotonic(), fetch.done_bytes)

    def transfer(self, download: Download) -> Transfer:
        """How far a download is, whether it is being fetched or not."""
        total = download.total_bytes
        if download.state is DownloadState.DONE:
            return Transfer(done_bytes=total, total_bytes=total)
        if speed := self._speeds.get(download.id):
            return speed.transfer(total)
        arrived = arrived_bytes(self._cache, download.repository, download.revision, download.files)
        return Transfer(done_bytes=arrived, total_bytes=total)

    def waiting(self, download_id: str) -> str | None:
        """What a fetch waits for between two tries."""
        fetch = self._fetches.get(download_id)
        return None if fetch is None else fetch.waiting

    async def discard(self, repository: str, files: Sequence[ModelFile]) -> None:
        """Remove what has arrived of files that nobody wants."""
        await asyncio.to_thread(discard, self._cache, repository, files)

    async def point(self, download: Download) -> None:
        """Note in the cache which commit a branch was at, once the commit is there."""
        if download.branch is not None:
            await asyncio.to_thread(
                self._cache.set_ref, download.repository, download.branch, download.revision
            )
