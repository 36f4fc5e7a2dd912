"""The table of requests: each is written once, and read in pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from hydra_box.errors import InvalidRequest
from hydra_box.store import Store
from hydra_box.store.requests import RequestsPage
from hydra_box.types import Outcome, RequestRecord
from tests.samples import a_request

FOREVER = 1 << 40


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "hydra-box.db")
    yield opened
    await opened.close()


async def read(store: Store, **page: Any) -> list[RequestRecord]:
    values: dict[str, Any] = {"after_at": 0.0, "until": float(FOREVER)}
    return [one for _, one in await store.requests(RequestsPage(**values | page))]


async def count(store: Store) -> int:
    return sum(one.requests for one in await store.usage(0, FOREVER))


async def test_a_request_comes_back_as_it_was(store: Store) -> None:
    full = a_request(
        stream=True,
        outcome=Outcome.CLIENT_GONE,
        estimated=True,
        prompt_tokens=7,
        cached_tokens=2,
        completion_tokens=3,
        reasoning_tokens=1,
        ttft_seconds=0.25,
        tpot_seconds=0.125,
        duration_seconds=1.5,
        cost_nanos=12_345,
        energy_millijoules=678,
    )
    plain = a_request(key_id="", instance_id="")
    await store.add_requests([full, plain])
    assert await read(store) == [full, plain]


async def test_one_that_is_there_is_neither_written_nor_counted_again(store: Store) -> None:
    first, second = a_request(prompt_tokens=5), a_request(prompt_tokens=7)
    await store.add_requests([first])
    await store.add_requests([first, second, second])
    assert await read(store) == [first, second]
    assert await count(store) == 2
    (hour,) = await store.usage(0, FOREVER)
    assert hour.prompt_tokens == 12


async def test_a_batch_is_all_or_nothing(store: Store) -> None:
    huge = a_request(prompt_tokens=2**70)
    with pytest.raises(InvalidRequest, match="cannot be stored"):
        await store.add_requests([a_request(), huge])
    assert (await read(store), await count(store)) == ([], 0)


async def test_many_writers_lose_nothing(store: Store) -> None:
    await asyncio.gather(*(store.add_requests([a_request()]) for _ in range(20)))
    assert await count(store) == 20


async def test_pages_have_each_request_once_also_of_one_moment(store: Store) -> None:
    requests = [a_request(at=float(100 + number // 4)) for number in range(20)]
    await store.add_requests(requests[::-1])
    found: list[str] = []
    page = RequestsPage(after_at=100.0, until=104.0, limit=3)
    while rows := await store.requests(page):
        assert len(rows) <= 3
        found += [one.id for _, one in rows]
        number, last = rows[-1]
        page = msgspec.structs.replace(page, after_at=last.at, after_number=number)
    assert sorted(found) == [one.id for one in requests if one.at < 104]
    ended = [one.at for one in await read(store)]
    assert ended == sorted(ended)


async def test_a_page_is_of_a_key_and_a_service_by_id_or_name(store: Store) -> None:
    one = a_request(key_id="key-1", key_name="laptop")
    other = a_request(key_id="key-2", key_name="phone", service_id="svc-2", access_name="public/b")
    await store.add_requests([one, other])
    for wanted in ({"key": "key-1"}, {"key": "laptop"}, {"service": "svc-qwen2"}):
        assert await read(store, **wanted) == [one]
    assert await read(store, service="public/b", key="phone") == [other]
    assert await read(store, service="public/b", key="laptop") == []


async def test_old_requests_are_forgotten_and_still_count(store: Store) -> None:
    old, new = a_request(at=99.9), a_request(at=100.0)
    await store.add_requests([old, new])
    await store.remove_requests(100.0, 100.0)
    assert await read(store) == [new]
    assert await count(store) == 2


async def test_those_that_were_refused_are_forgotten_earlier(store: Store) -> None:
    answered = a_request(at=50.0)
    refused = [a_request(at=at, outcome=Outcome.REFUSED) for at in (99.9, 100.0)]
    await store.add_requests([answered, *refused])
    await store.remove_requests(50.0, 100.0)
    assert await read(store) == [answered, refused[1]]
    assert await count(store) == 3
