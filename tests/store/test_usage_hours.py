"""The table of what was used: writes add up, whatever order they come in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hydra_box.errors import InvalidRequest
from hydra_box.plan.usage import UsageHour
from hydra_box.store import Store


def used(hour: int = 5, key: str = "key-1", service: str = "svc-1", **more: Any) -> UsageHour:
    values: dict[str, Any] = {
        "requests": 1,
        "failed_requests": 2,
        "prompt_tokens": 3,
        "completion_tokens": 4,
    }
    return UsageHour(
        hour=hour,
        key_id=key,
        key_name=f"name of {key}",
        service_id=service,
        access_name=f"public/{service}",
        **values | more,
    )


async def test_rows_add_up_and_are_there_for_the_next_daemon(tmp_path: Path) -> None:
    first = await Store.open(tmp_path / "hydra-box.db")
    await first.add_usage([used(), used(6), used(key=""), used(service="svc-2"), used()])
    await first.add_usage([used(prompt_tokens=100)])
    await first.add_usage([])
    await first.close()
    second = await Store.open(tmp_path / "hydra-box.db")
    try:
        assert await second.usage(0, 100) == [
            used(key=""),
            used(requests=3, failed_requests=6, prompt_tokens=106, completion_tokens=12),
            used(service="svc-2"),
            used(6),
        ]
        assert await second.usage(6, 6) == [used(6)]
        assert await second.usage(7, 100) == []
        assert await second.usage(6, 5) == []
    finally:
        await second.close()


async def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "hydra-box.db")
    try:
        await asyncio.gather(*(store.add_usage([used()]) for _ in range(20)))
        (row,) = await store.usage(5, 5)
        assert row.requests == 20
    finally:
        await store.close()


async def test_a_batch_is_all_or_nothing(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "hydra-box.db")
    try:
        huge = msgspec.structs.replace(used(6), prompt_tokens=2**70)
        with pytest.raises(InvalidRequest, match="cannot be stored"):
            await store.add_usage([used(), huge])
        assert await store.usage(0, 100) == []
    finally:
        await store.close()
