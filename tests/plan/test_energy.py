"""Energy: what comes in from the GPUs goes out to requests, or stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.energy import Worked, drawn_millijoules, share

GPUS = ("GPU-1", "GPU-2", "GPU-3")


def worked(id: str, tokens: int, *devices: str) -> Worked:
    return Worked(request_id=id, devices=devices or ("GPU-1",), tokens=tokens)


def test_power_over_time_is_energy() -> None:
    assert drawn_millijoules(100.0, 100.0, 1.0) == pytest.approx(100_000)
    assert drawn_millijoules(50.0, 150.0, 0.5) == pytest.approx(50_000)
    assert drawn_millijoules(300.0, 300.0, 0.0) == 0


def test_requests_share_by_their_tokens() -> None:
    shares, left = share({"GPU-1": 1000}, [worked("a", 30), worked("b", 10), worked("c", 0)])
    assert (shares, left) == ({"a": 750, "b": 250}, {})


def test_what_a_division_leaves_goes_to_the_largest_remainders() -> None:
    shares, _ = share({"GPU-1": 11}, [worked("a", 1), worked("b", 1), worked("c", 2)])
    assert shares == {"a": 3, "b": 3, "c": 5}


def test_a_gpu_without_tokens_keeps_what_it_drew() -> None:
    requests = [worked("a", 5, "GPU-2"), worked("failed", 0, "GPU-1")]
    assert share({"GPU-1": 70, "GPU-2": 30}, requests) == ({"a": 30}, {"GPU-1": 70})
    assert share({"GPU-1": 70}, []) == ({}, {"GPU-1": 70})
    assert share({}, requests) == ({}, {})


def test_an_instance_on_two_gpus_has_of_both() -> None:
    requests = [worked("pair", 1, "GPU-1", "GPU-2"), worked("single", 1, "GPU-2")]
    shares, left = share({"GPU-1": 100, "GPU-2": 50}, requests)
    assert (shares, left) == ({"pair": 125, "single": 25}, {})


@given(
    drawn=st.dictionaries(st.sampled_from(GPUS), st.integers(0, 10**12)),
    requests=st.lists(
        st.tuples(st.sets(st.sampled_from(GPUS)), st.integers(0, 10**6)), max_size=20
    ),
)
def test_no_millijoule_is_lost_or_made(
    drawn: dict[str, int], requests: list[tuple[set[str], int]]
) -> None:
    each = [
        Worked(request_id=str(number), devices=tuple(devices), tokens=tokens)
        for number, (devices, tokens) in enumerate(requests)
    ]
    shares, left = share(drawn, each)
    assert sum(shares.values()) + sum(left.values()) == sum(drawn.values())
    assert all(joules >= 0 for joules in shares.values())
    assert all(one.tokens for one in each if one.request_id in shares)
