"""What is added up of requests, for Prometheus."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from hydra_box.gateway.measures import (
    DURATION_BOUNDS,
    OTHER_KEYS,
    TPOT_BOUNDS,
    TTFT_BOUNDS,
    Measures,
    Tally,
)
from hydra_box.types import Outcome, RequestRecord


def a_record(**changes: Any) -> RequestRecord:
    values: dict[str, Any] = {
        "id": "req-1",
        "at": 1.0,
        "key_id": "key-1",
        "key_name": "app",
        "user_id": "u-1100a15812cc",
        "user_name": "ada",
        "service_id": "svc-a",
        "access_name": "public/a",
        "model": "demo",
        "endpoint": "chat/completions",
        "prompt_tokens": 10,
        "cached_tokens": 4,
        "completion_tokens": 5,
        "reasoning_tokens": 2,
        "duration_seconds": 0.3,
        "cost_nanos": 700,
    }
    return RequestRecord(**values | changes)


def test_service_without_a_request_has_zeros() -> None:
    found = Measures().of("svc-a")
    assert found.requests == {}
    assert found.used == Tally()
    assert found.ttft_seconds.count == 0
    assert len(found.ttft_seconds.counts) == len(TTFT_BOUNDS) + 1


def test_requests_are_told_apart_by_endpoint_and_outcome() -> None:
    measures = Measures()
    for endpoint, outcome in (
        ("chat/completions", Outcome.OK),
        ("chat/completions", Outcome.OK),
        ("chat/completions", Outcome.CLIENT_GONE),
        ("embeddings", Outcome.ENGINE_ERROR),
    ):
        measures.record(a_record(endpoint=endpoint, outcome=outcome))
    assert measures.of("svc-a").requests == {
        ("chat/completions", Outcome.OK): 2,
        ("chat/completions", Outcome.CLIENT_GONE): 1,
        ("embeddings", Outcome.ENGINE_ERROR): 1,
    }
    assert measures.of("svc-b").requests == {}


def test_tokens_and_costs_are_added_up() -> None:
    measures = Measures()
    measures.record(a_record())
    measures.record(a_record(estimated=True, prompt_tokens=3, cached_tokens=0, cost_nanos=1))
    assert measures.of("svc-a").used == Tally(
        prompt_tokens=13,
        cached_tokens=4,
        completion_tokens=10,
        reasoning_tokens=4,
        estimated_tokens=8,
        cost_nanos=701,
    )


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.005, 0), (0.0051, 1), (300.0, len(TTFT_BOUNDS) - 1), (301.0, len(TTFT_BOUNDS))],
)
def test_bucket_has_what_is_not_above_its_bound(seconds: float, bucket: int) -> None:
    measures = Measures()
    measures.record(a_record(ttft_seconds=seconds))
    found = measures.of("svc-a").ttft_seconds
    assert [index for index, count in enumerate(found.counts) if count] == [bucket]
    assert found.sum == seconds


def test_times_that_a_request_has_not_are_not_counted() -> None:
    measures = Measures()
    measures.record(a_record())
    measures.record(a_record(ttft_seconds=0.1, tpot_seconds=0.02))
    measures.record(a_record(outcome=Outcome.REFUSED, duration_seconds=0.0))
    found = measures.of("svc-a")
    assert (found.ttft_seconds.count, found.tpot_seconds.count) == (1, 1)
    assert found.duration_seconds.count == 2, "a refusal takes no time"
    assert found.duration_seconds.sum == pytest.approx(0.6)


@pytest.mark.parametrize("bounds", [TTFT_BOUNDS, TPOT_BOUNDS, DURATION_BOUNDS])
def test_neighbouring_bounds_are_close_enough_for_quantiles(bounds: tuple[float, ...]) -> None:
    ratios = [after / before for before, after in pairwise(bounds)]
    assert all(1 < ratio <= 2.5 for ratio in ratios), ratios


def test_what_was_read_does_not_change() -> None:
    measures = Measures()
    measures.record(a_record())
    before, keys_before = measures.of("svc-a"), measures.by_key()
    measures.record(a_record(ttft_seconds=1.0))
    assert before.requests == {("chat/completions", Outcome.OK): 1}
    assert before.used.prompt_tokens == 10
    assert before.ttft_seconds.count == 0
    assert keys_before[0].used.prompt_tokens == 10


def test_keys_are_added_up_over_services_under_their_latest_name() -> None:
    measures = Measures()
    measures.record(a_record())
    measures.record(a_record(service_id="svc-b", key_name="renamed", outcome=Outcome.REFUSED))
    (key,) = measures.by_key()
    assert (key.key_id, key.key_name, key.user_name) == ("key-1", "renamed", "ada")
    assert key.requests == {Outcome.OK: 1, Outcome.REFUSED: 1}
    assert key.used.prompt_tokens == 20


def test_more_keys_than_are_told_apart_are_added_up_as_one() -> None:
    measures = Measures(most_keys=2)
    for name in ("a", "b", "c", "d", "a"):
        measures.record(a_record(key_id=f"key-{name}", key_name=name, prompt_tokens=1))
    found = {key.key_id: (key.key_name, key.used.prompt_tokens) for key in measures.by_key()}
    assert found == {"key-a": ("a", 2), "key-b": ("b", 1), OTHER_KEYS: ("", 2)}


def test_energy_is_added_when_it_is_known() -> None:
    measures = Measures(most_keys=1)
    told = (a_record(id="req-1"), a_record(id="req-2"), a_record(id="req-3", key_id="key-3"))
    for one in told:
        measures.record(one)
    measures.add_energy(told, {"req-1": 500, "req-3": 40, "req-of-another": 7})
    measures.add_energy((a_record(service_id="svc-gone"),), {"req-1": 2})
    assert measures.of("svc-a").used.energy_millijoules == 540
    found = {key.key_id: key.used.energy_millijoules for key in measures.by_key()}
    assert found == {"key-1": 502, OTHER_KEYS: 40}


def test_who_is_told_of_requests_and_of_energy_is_told_first() -> None:
    measures = Measures()
    told: list[RequestRecord] = []
    record = measures.told_of(told.append)
    record(a_record())
    share = measures.told_of_energy(lambda requests: {one.id: 5 for one in requests})
    assert share(told) == {"req-1": 5}
    assert told == [a_record()]
    assert measures.of("svc-a").used.energy_millijoules == 5


def test_services_that_are_no_more_are_forgotten_and_keys_are_not() -> None:
    measures = Measures()
    measures.record(a_record())
    measures.record(a_record(service_id="svc-b"))
    measures.keep(["svc-b", "svc-c"])
    assert measures.of("svc-a").used == Tally()
    assert measures.of("svc-b").used.prompt_tokens == 10
    assert measures.by_key()[0].used.prompt_tokens == 20
