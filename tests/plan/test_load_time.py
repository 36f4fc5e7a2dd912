"""How long a start takes: estimated from bytes, then learned, whatever was in memory."""

from __future__ import annotations

from typing import Any

import pytest

from hydra_box.plan.load_time import (
    DISK_BYTES_PER_SECOND,
    SHORTEST_SECONDS,
    Weights,
    disk_speed,
    learned,
    left_seconds,
    load_seconds,
    load_time_id,
)
from hydra_box.plan.ways import way_of
from hydra_box.types import EngineName, LoadTime
from tests.samples import a_service

GB = 10**9
SPEED = 1e9


def weights(size_gb: float, cold_gb: float = 0.0) -> Weights:
    return Weights(size_bytes=int(size_gb * GB), cold_bytes=int(cold_gb * GB), disk=1)


def known(seconds: float, cold_gb: float = 0.0, **changes: Any) -> LoadTime:
    values: dict[str, Any] = {
        "id": "way",
        "seconds": seconds,
        "cold_bytes": int(cold_gb * GB),
        "updated_at": 1.0,
    }
    return LoadTime(**values | changes)


@pytest.mark.parametrize(
    ("engine", "there", "before", "seconds"),
    [
        # Never measured: the engine's constant, 2 GB/s to where it computes, the disk.
        (EngineName.LLAMA_CPP, weights(0), None, 2.0),
        (EngineName.LLAMA_CPP, weights(8), None, 6.0),
        (EngineName.LLAMA_CPP, weights(8, cold_gb=8), None, 14.0),
        (EngineName.VLLM, weights(16, cold_gb=4), None, 72.0),
        # Measured: as before, and so much more or less as comes from the disk.
        (EngineName.LLAMA_CPP, weights(8), known(3.0), 3.0),
        (EngineName.LLAMA_CPP, weights(8, cold_gb=8), known(3.0), 11.0),
        (EngineName.LLAMA_CPP, weights(8), known(12.0, cold_gb=8), 4.0),
        (EngineName.VLLM, weights(8, cold_gb=2), known(50.0, cold_gb=8), 44.0),
        # The disk was faster than it is known to be.
        (EngineName.LLAMA_CPP, weights(8), known(5.0, cold_gb=8), SHORTEST_SECONDS),
    ],
)
def test_how_long_a_start_takes(
    engine: EngineName, there: Weights, before: LoadTime | None, seconds: float
) -> None:
    assert load_seconds(engine, there, before, SPEED) == pytest.approx(seconds)


def test_the_first_start_is_taken_as_it_was() -> None:
    new = known(7.0, cold_gb=3)
    assert learned(None, new, EngineName.LLAMA_CPP, SPEED) == new


@pytest.mark.parametrize(
    ("before", "new", "warm_seconds"),
    [
        (known(4.0), known(6.0), 5.0),
        # 12 s with 8 GB from the disk are 4 s without.
        (known(12.0, cold_gb=8), known(6.0), 5.0),
        (known(4.0), known(14.0, cold_gb=8), 5.0),
        (known(12.0, cold_gb=8), known(14.0, cold_gb=8), 5.0),
    ],
)
def test_each_start_counts_as_much_as_all_before(
    before: LoadTime, new: LoadTime, warm_seconds: float
) -> None:
    after = learned(before, new, EngineName.LLAMA_CPP, SPEED)
    warm = load_seconds(EngineName.LLAMA_CPP, weights(8), after, SPEED)
    assert warm == pytest.approx(warm_seconds)
    assert after.samples == 2
    assert after.cold_bytes == max(before.cold_bytes, new.cold_bytes)


def test_what_a_disk_gives_is_learned_from_starts_that_read_enough() -> None:
    assert disk_speed([]) == DISK_BYTES_PER_SECOND
    small = known(1.0, cold_gb=0.01, reading_seconds=1.0)
    unread = known(1.0, cold_gb=5)
    assert disk_speed([small, unread]) == DISK_BYTES_PER_SECOND
    one, other = known(9.0, 6, reading_seconds=2.0), known(9.0, 2, reading_seconds=2.0)
    assert disk_speed([small, one, other]) == pytest.approx(2 * GB)


@pytest.mark.parametrize(
    ("expected", "elapsed", "left"),
    [(10.0, 0.0, 10.0), (10.0, 8.0, 2.0), (10.0, 10.0, 1.0), (10.0, 50.0, 5.0), (0.1, 0.1, 0.1)],
)
def test_one_that_is_late_never_has_nothing_left(
    expected: float, elapsed: float, left: float
) -> None:
    assert left_seconds(expected, elapsed) == pytest.approx(left)


def test_what_is_learned_belongs_to_engine_model_and_kind_of_device() -> None:
    way = way_of(a_service())
    ids = {
        load_time_id(way),
        load_time_id(way_of(a_service(engine=EngineName.VLLM))),
        load_time_id(way_of(a_service(on_cpu=True))),
        load_time_id(way_of(a_service(model_path="/models/other.gguf"))),
    }
    assert len(ids) == 4
    assert load_time_id(way_of(a_service(context_length=64, slots=1))) == load_time_id(way)
