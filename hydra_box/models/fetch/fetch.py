"""All files of one download, from the hub into its cache."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock

from hydra_box.disk import free_bytes, require_room
from hydra_box.errors import DiskFull, DownloadFailed, StateError, Unavailable
from hydra_box.models.digests import kind_of
from hydra_box.models.fetch.arrived import arrived_bytes
from hydra_box.models.fetch.file_fetch import FileFetch
from hydra_box.models.fetch.limits import FetchLimits, RateLimit
from hydra_box.models.fetch.source import HubFile
from hydra_box.models.hub_cache import HubCache
from hydra_box.models.hub_client import HubClient
from hydra_box.models.partial import PartialFile
from hydra_box.stoppable import Stopped
from hydra_box.types import ModelFile

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Fetch:
    """One download under way. ``run`` blocks; all else may be asked from other threads."""

    def __init__(
        self,
        environ: Mapping[str, str],
        cache: HubCache,
        repository: str,
        revision: str,
        files: Sequence[ModelFile],
        *,
        limits: FetchLimits,
        rate: RateLimit,
        free_bytes: Callable[[Path], int] = free_bytes,
    ) -> None:
        """Make it.

        Args:
            environ: the variables of ``huggingface_hub``: where the hub is, and the token.
            cache: where the files go.
            repository: ``org/name``.
            revision: the commit.
            files: each with its digest.
            limits: what it may take.
            rate: bytes a second, shared with others.
            free_bytes: room on the disk of a path.
        """
        self._environ = environ
        self._cache = cache
        self._repository = repository
        self._revision = revision
        self._files = tuple(files)
        self._limits = limits
        self._rate = rate
        self._free_bytes = free_bytes
        self._stop = Event()
        self._lock = Lock()
        self._client: HubClient | None = None
        self.fetched_bytes = 0
        """Bytes of whole blocks that came over the network in this run."""
        self.waiting: str | None = None
        """What it waits for between two tries."""

    @property
    def done_bytes(self) -> int:
        """Bytes that are on the disk and need not be fetched again."""
        return arrived_bytes(self._cache, self._repository, self._revision, self._files)

    def stop(self) -> None:
        """Have ``run`` end soon; what has arrived is kept."""
        self._stop.set()
        with self._lock:
            if self._client is not None:
                self._client.interrupt()

    def run(self) -> Path:
        """Return the directory of the commit once every file is there, checked and linked.

        Raises:
            Stopped: ``stop`` was called.
            Conflict: another program fetches one of the files.
            DiskFull: there is no room.
            StateError: the cache cannot be written.
            DownloadFailed: what the hub sends is wrong, or has changed.
            HydraError: the hub refuses, or cannot be reached.
        """
        with (
            self._disk_errors(),
            HubClient(self._environ, connections=self._limits.connections) as client,
        ):
            with self._lock:
                self._client = client
            try:
                self._check_room()
                self._fetch_all(client)
            except Unavailable as error:
                if self._stop.is_set():
                    raise Stopped from error
                raise
            finally:
                with self._lock:
                    self._client = None
        return self._cache.snapshot(self._repository, self._revision)

    def _fetch_all(self, client: HubClient) -> None:
        with ThreadPoolExecutor(self._limits.connections, thread_name_prefix="fetch") as pool:
            for file in self._files:
                if self._stop.is_set():
                    raise Stopped
                if self._cache.is_linked(self._repository, self._revision, file):
                    continue
                with self._alone(file):
                    if not self._cache.has(self._repository, file):
                        self._fetch(client, pool, file)
                    self._cache.link(self._repository, self._revision, file)

    def _fetch(self, client: HubClient, pool: ThreadPoolExecutor, file: ModelFile) -> None:
        """Fetch one file; one with a wrong checksum once more."""
        client.refuse_offline(self._repository)
        blob = self._cache.blob(self._repository, file.digest or "")
        # The hub's own package takes a repository without snapshots for damaged.
        snapshots = self._cache.snapshot(self._repository, self._revision).parent
        for directory in (snapshots, blob.parent):
            directory.mkdir(parents=True, exist_ok=True)
        source = HubFile(client, self._repository, self._revision, file)
        found = ""
        with PartialFile(blob, file.size_bytes, self._limits.block_bytes) as partial:
            for _ in range(2):
                found = self._file_fetch(source, partial).run(pool)
                if found == file.digest:
                    partial.finish()
                    return
                partial.restart()
            partial.remove()
        raise DownloadFailed(
            f"{file.name} of {self._repository} came twice with the wrong checksum: its "
            f"{kind_of(found)} is {found}, the hub says {file.digest}",
            hint="try again later; if it stays so, a proxy or a mirror changes the file",
            param="model",
        )

    @contextmanager
    def _alone(self, file: ModelFile) -> Iterator[None]:
        """Fetch a file while no other download of this process does."""
        claims, blob = self._cache.claims, self._cache.blob(self._repository, file.digest or "")
        if claims.is_held(blob):
            self._wait(f"{file.name} is being fetched by another download")
        claims.take(blob, self._stop)
        self._wait(None)
        try:
            yield
        finally:
            claims.give_back(blob)

    def _file_fetch(self, source: HubFile, partial: PartialFile) -> FileFetch:
        return FileFetch(
            source,
            partial,
            limits=self._limits,
            rate=self._rate,
            stop=self._stop,
            came=self._count,
            waits=self._wait,
        )

    def _count(self, size_bytes: int) -> None:
        """Note that bytes have come and are about to be written; refuse them without room."""
        with self._lock:
            self.fetched_bytes += size_bytes
        self._require(size_bytes)

    def _wait(self, words: str | None) -> None:
        self.waiting = words

    def _check_room(self) -> None:
        missing = sum(one.size_bytes for one in self._files) - self.done_bytes
        if missing > 0:
            self._require(missing)

    def _require(self, size_bytes: int) -> None:
        require_room(
            f"the rest of {self._repository}",
            self._cache.root,
            size_bytes,
            self._limits.reserve_bytes,
            hint="free some space (hydra-box models stored shows what there is)",
            free=self._free_bytes,
        )

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """What the disk refuses, as errors with a next step."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFull(
                    f"{self._cache.root} is full: {error.strerror}", hint="free some space"
                ) from error
            raise StateError(
                f"{error.filename or self._cache.root} cannot be written: "
                f"{error.strerror or os.strerror(error.errno or 0)}",
                hint="let the daemon's user write there, or set model_directory to another place",
            ) from error
