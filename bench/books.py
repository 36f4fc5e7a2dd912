"""What the books cost: a request more in the journal, and a batch more in the database.

``.venv/bin/python -m bench.books`` prints the microseconds of ``UsageBooks.record``, which stands
on the way of a request, and the milliseconds of storing a thousand of them, which does not, and of
a report over two weeks of a hundred keys. Takes a quarter of a minute.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from hydra_box.config import Settings
from hydra_box.messages import UsageBy, UsagePer
from hydra_box.plan.usage import DAY_SECONDS, HOUR_SECONDS
from hydra_box.store import Store
from hydra_box.types import RequestRecord
from hydra_box.usage import UsageBooks
from hydra_box.usage.journal import UsageJournal
from hydra_box.usage.reports import UsageReports
from tests.samples import a_request

BATCHES = 20
BATCH_REQUESTS = 1000
KEYS = 100


def main() -> None:
    """Print what was measured."""
    asyncio.run(measure())


async def measure() -> None:
    """On a database and a journal of its own, on the disk of the temporary directory."""
    with tempfile.TemporaryDirectory(prefix="hb-") as directory:
        store = await Store.open(Path(directory) / "hydra-box.db")
        books = UsageBooks(store, UsageJournal(Path(directory) / "usage-journal"), Settings())
        try:
            await fill(books)
            seconds = await look(UsageReports(books))
        finally:
            await books.close()
            await store.close()
    print(f"a report by key of two weeks, {KEYS} keys: {seconds * 1e3:.0f} ms")


async def fill(books: UsageBooks) -> None:
    """Record and store, batch after batch."""
    recording: list[float] = []
    storing: list[float] = []
    for _ in range(BATCHES):
        for request in batch():
            began = time.perf_counter()
            books.record(request)
            recording.append(time.perf_counter() - began)
        began = time.perf_counter()
        await books.flush()
        storing.append(time.perf_counter() - began)
    mean, worst = statistics.mean(recording) * 1e6, max(recording) * 1e6
    at = [cut * 1e6 for cut in statistics.quantiles(recording, n=100)]
    print(
        f"recording a request: {mean:.1f} us in the mean, {at[49]:.1f} in the median, "
        f"{at[98]:.1f} at p99, {worst:.0f} at most"
    )
    print(f"storing {BATCH_REQUESTS} of them: {statistics.median(storing) * 1e3:.0f} ms")


def batch() -> list[RequestRecord]:
    """Streams of all keys, somewhere in the last two weeks."""
    now = time.time()
    return [
        a_request(
            at=now - (number * HOUR_SECONDS * 7 % (14 * DAY_SECONDS)),
            key_id=f"key-{number % KEYS}",
            stream=True,
            prompt_tokens=1234,
            cached_tokens=1000,
            completion_tokens=234,
            ttft_seconds=0.1234567,
            tpot_seconds=0.0234567,
            duration_seconds=6.543,
            cost_nanos=1_234_567,
        )
        for number in range(BATCH_REQUESTS)
    ]


async def look(reports: UsageReports) -> float:
    """The seconds of a report."""
    began = time.perf_counter()
    await reports.report(UsageBy.KEY, UsagePer.HOUR, None, None)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
