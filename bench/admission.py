"""What admission, the fair queue and the record of a request cost on its path.

``.venv/bin/python -m bench.admission`` calls each of them as the relay does, without network and
engine, and prints microseconds a request. The keys have every limit that there is; the books are
written to a disk, under this machine's directory for temporary files. Takes a few seconds.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import uvloop

from hydra_box.config import Settings
from hydra_box.engines.llama_cpp_counts import COUNTS
from hydra_box.gateway.access import caller_of
from hydra_box.gateway.admission import Admission
from hydra_box.gateway.measures import Measures
from hydra_box.gateway.request import body_for, parse
from hydra_box.keys import KeyRing
from hydra_box.messages import CreateKeyRequest
from hydra_box.plan.fair_queue import FairQueue
from hydra_box.plan.reservation import Ask, expected_tokens, most_tokens
from hydra_box.store import Store
from hydra_box.types import KeyLimits, QuotaPeriod, RequestRecord, TokenQuota
from hydra_box.usage import UsageBooks
from hydra_box.usage.journal import UsageJournal
from hydra_box.users import Users
from tests.told import Told

KEYS = 10
REQUESTS = 20_000
QUEUED = 500
LIMITS = KeyLimits(requests_per_minute=10**9, tokens_per_minute=10**9, concurrent_requests=1000)
QUOTA = TokenQuota(tokens=10**12, period=QuotaPeriod.DAY)
BODY = json.dumps(
    {
        "model": "public/demo",
        "messages": [{"role": "user", "content": "What is Hydra Box? " * 20}],
        "max_tokens": 200,
        "stream": True,
    }
).encode()


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hb-") as name:
        directory = Path(name)
        store = await Store.open(directory / "hydra-box.db")
        try:
            await measure(store, directory)
        finally:
            await store.close()


async def measure(store: Store, directory: Path) -> None:
    users = Users(store, record=Told())
    await users.load()
    keys = KeyRing(store, users=users, record=Told())
    await keys.load()
    secrets = [
        (
            await keys.create(
                CreateKeyRequest(name=f"key-{number}", limits=LIMITS, quota=QUOTA), users.local
            )
        ).key
        for number in range(KEYS)
    ]
    row("read the body, splice", lambda _: body_for(parse(BODY), COUNTS))
    row("authenticate", lambda number: keys.authenticate(f"Bearer {secrets[number % KEYS]}"))
    admission = Admission(keys, Settings())
    row("admit, headers, settle", admitting(keys, admission, secrets))
    row(f"fair queue, {QUEUED} waiting", queueing())
    row("count (/metrics)", counting())
    books = UsageBooks(store, UsageJournal(directory / "usage"), Settings())
    await books.replay()
    row("record in the books", lambda number: books.record(a_record(number)))
    began = time.perf_counter()
    await books.close()
    each = (time.perf_counter() - began) / REQUESTS * 1e6
    print(f"  {'books to the store, behind':<30} {each:8.2f} us")


def admitting(keys: KeyRing, admission: Admission, secrets: list[str]) -> Callable[[int], None]:
    callers = []
    for secret in secrets:
        key = keys.authenticate(f"Bearer {secret}")
        callers.append(caller_of(key, keys.owner_of(key)))
    ask = Ask(body_bytes=len(BODY), max_tokens=200)

    def admit(number: int) -> None:
        caller = callers[number % KEYS]
        with admission.door(caller):
            reservation = most_tokens(ask, 4096)
            ticket = admission.admit(caller, public=True, reservation=reservation)
            admission.headers(caller)
            admission.settle(ticket, 321)

    return admit


def queueing() -> Callable[[int], None]:
    queue, numbers = FairQueue[int](), count()
    cost = expected_tokens(Ask(body_bytes=len(BODY), max_tokens=200), 4096)

    def add() -> None:
        number = next(numbers)
        queue.add(f"key-{number % KEYS}", number, cost)

    for _ in range(QUEUED):
        add()

    def pass_through(number: int) -> None:
        add()
        queue.take()
        queue.settle(f"key-{number % KEYS}", cost, 321)

    return pass_through


def counting() -> Callable[[int], None]:
    measures = Measures()
    return lambda number: measures.record(a_record(number))


def a_record(number: int) -> RequestRecord:
    return RequestRecord(
        id=f"req-{number:024x}",
        at=time.time(),
        key_id=f"key-{number % KEYS:012x}",
        key_name=f"key-{number % KEYS}",
        user_id="u-1100a15812cc",
        user_name="local",
        service_id="svc-1100a15812cc",
        access_name="public/demo",
        instance_id="demo-00000001",
        model="demo",
        endpoint="chat/completions",
        stream=True,
        prompt_tokens=120,
        cached_tokens=100,
        completion_tokens=201,
        ttft_seconds=0.02,
        tpot_seconds=0.01,
        duration_seconds=2.1,
    )


def row(name: str, call: Callable[[int], object]) -> None:
    for number in range(REQUESTS // 10):
        call(number)
    began = time.perf_counter()
    for number in range(REQUESTS):
        call(number)
    each = (time.perf_counter() - began) / REQUESTS * 1e6
    print(f"  {name:<30} {each:8.2f} us")


if __name__ == "__main__":
    uvloop.run(main())
