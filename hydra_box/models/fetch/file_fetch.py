"""One file: fetched in ranges by several threads, while its checksum is computed behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock

from hydra_box.errors import HydraError, Unavailable
from hydra_box.models.digests import hasher
from hydra_box.models.fetch.blocks import Blocks
from hydra_box.models.fetch.limits import FetchLimits, RateLimit
from hydra_box.models.fetch.source import HubFile
from hydra_box.models.partial import PartialFile
from hydra_box.plan.transfer import retry_delay
from hydra_box.stoppable import Stopped

WAKE_SECONDS = 0.5


class _Elsewhere(Exception):
    """Another thread takes the whole file."""


@dataclass
class _Begun:
    """The beginning of a block whose rest has not come yet."""

    room: memoryview
    """As long as a block; used again and again, because fresh memory costs more than the bytes."""
    block: int = -1
    count: int = 0
    """Bytes that have come."""


class FileFetch:
    """Fills one partial file from the hub."""

    def __init__(
        self,
        source: HubFile,
        partial: PartialFile,
        *,
        limits: FetchLimits,
        rate: RateLimit,
        stop: Event,
        came: Callable[[int], None],
        waits: Callable[[str | None], None],
    ) -> None:
        """Make it.

        Args:
            source: where the file comes from.
            partial: where it goes.
            limits: what it may take.
            rate: bytes a second.
            stop: set when nobody wants it any more.
            came: told the bytes that have come; may raise, which ends the fetch.
            waits: told what it waits for between two tries; None: it goes on.
        """
        self._source = source
        self._partial = partial
        self._limits = limits
        self._rate = rate
        self._stop = stop
        self._came = came
        self._waits = waits
        self._ended = Event()
        self._whole = Lock()
        """Held by the thread that takes the whole file, where the hub knows no ranges."""
        self.blocks = Blocks(partial.marks, partial.size_bytes, partial.block_bytes)

    def run(self, pool: ThreadPoolExecutor) -> str:
        """Fetch what is missing; the checksum of the whole file.

        Raises:
            Stopped: nobody wants it any more.
            HydraError: it cannot go on.
            OSError: the disk refuses.
        """
        count = min(self._limits.connections, self.blocks.missing)
        work = [pool.submit(self._work) for _ in range(count)]
        try:
            return self._checksum(work)
        except BaseException:
            # Threads that wait for a silent hub would hold up the error.
            self._ended.set()
            self._source.interrupt()
            raise
        finally:
            self._ended.set()
            for one in work:
                one.exception()

    def _checksum(self, work: list[Future[None]]) -> str:
        """Follow the blocks in their order; on the first error of a thread, end."""
        partial, hashing = self._partial, hasher(self._source.file.digest or "", self._size)
        buffer = memoryview(bytearray(partial.block_bytes))
        for block in range(self.blocks.count):
            self._wait_for(block, work)
            count = partial.read_into(buffer, block * partial.block_bytes)
            hashing.update(buffer[:count])
        return hashing.hexdigest()

    def _wait_for(self, block: int, work: list[Future[None]]) -> None:
        while not self.blocks.is_there(block):
            if self._stop.is_set():
                raise Stopped
            for one in work:
                if one.done() and (error := one.exception()) is not None:
                    raise error
            with self.blocks.changed:
                if not self.blocks.is_there(block):
                    self.blocks.changed.wait(WAKE_SECONDS)

    def _work(self) -> None:
        """Fetch ranges until there are none left."""
        begun = _Begun(memoryview(bytearray(min(self._partial.block_bytes, self._size))))
        try:
            while blocks := self.blocks.take(self._limits.connections, self._part_blocks):
                try:
                    self._fetch(blocks, begun)
                finally:
                    self.blocks.give_back(blocks)
        except _Elsewhere:
            return
        finally:
            self.blocks.wake()

    def _fetch(self, blocks: range, begun: _Begun) -> None:
        """Fetch a range, again and again while the hub cannot give it."""
        failures, progress = 0, 0
        while left := self._missing_of(blocks):
            if begun.block != left.start:
                begun.block, begun.count = left.start, 0
            try:
                self._try(left, begun)
            except Unavailable as error:
                # Of a connection that was ended on purpose nothing is to be told.
                self._check_wanted()
                came = self.blocks.new * self._partial.block_bytes + begun.count
                failures = 1 if came > progress else failures + 1
                progress = max(progress, came)
                if failures >= self._limits.most_tries:
                    raise
                self._pause(error, failures)
            self._check_wanted()

    def _try(self, blocks: range, begun: _Begun) -> None:
        """One request; what comes is kept, whatever happens then.

        ``begun`` is what there is of the first block, and in the end of the one that broke off.
        """
        size, start = self._partial.block_bytes, blocks.start * self._partial.block_bytes
        start, end = start + begun.count, min(blocks.stop * size, self._size)
        with self._source.open(start, end - start) as (begin, body):
            if begin == start:
                self._take(blocks, body, begun)
                return
            # Without ranges the file comes from its beginning: one thread takes all of it.
            if not self._whole.acquire(blocking=False):
                raise _Elsewhere
            begun.block = -1
            try:
                self._take(range(self.blocks.count), body, _Begun(begun.room))
            finally:
                self._whole.release()

    def _take(self, blocks: range, body: Iterator[bytes], begun: _Begun) -> None:
        piece = memoryview(b"")
        for block in blocks:
            begun.block = block
            wanted = min(self._partial.block_bytes, self._size - block * self._partial.block_bytes)
            while begun.count < wanted:
                if not piece:
                    piece = self._next(body)
                fits = piece[: wanted - begun.count]
                begun.room[begun.count : begun.count + len(fits)] = fits
                begun.count += len(fits)
                piece = piece[len(fits) :]
            self._keep(block, begun.room[:wanted])
            begun.count = 0
        # Only an answer that was read to its end leaves its connection for the next request.
        next(body, None)

    def _next(self, body: Iterator[bytes]) -> memoryview:
        piece = next(body, None)
        if piece is None:
            raise Unavailable("the hub ended the connection too early", hint="try again")
        self._check_wanted()
        self._rate.take(len(piece), self._stop)
        return memoryview(piece)

    def _keep(self, block: int, data: memoryview) -> None:
        if self.blocks.is_there(block):
            return
        self._came(len(data))
        self._partial.write(data, block * self._partial.block_bytes)
        self._partial.mark(block)
        self.blocks.came(block)
        self._waits(None)

    def _pause(self, error: HydraError, failures: int) -> None:
        seconds = retry_delay(
            failures,
            self._limits.first_delay_seconds,
            self._limits.longest_delay_seconds,
            error.retry_after_seconds,
        )
        self._waits(f"trying again in {seconds:.0f} s: {error.message}")
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._ended.is_set():
            if self._stop.wait(min(left, WAKE_SECONDS)):
                return

    def _missing_of(self, blocks: range) -> range:
        """What is left of a range: blocks come in order."""
        first = next((one for one in blocks if not self.blocks.is_there(one)), blocks.stop)
        return range(first, blocks.stop)

    def _check_wanted(self) -> None:
        if self._stop.is_set() or self._ended.is_set():
            raise Stopped

    @property
    def _size(self) -> int:
        return self._partial.size_bytes

    @property
    def _part_blocks(self) -> int:
        return max(1, self._limits.part_bytes // self._partial.block_bytes)
