"""Which instance takes a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.routing import Candidate, caught_up, choose
from tests.samples import structs

Loads = dict[str, tuple[int, int]]


def _candidates(loads: Loads) -> list[Candidate]:
    return [
        Candidate(instance_id=id, in_flight=in_flight, slots=slots)
        for id, (in_flight, slots) in loads.items()
    ]


@pytest.mark.parametrize(
    ("loads", "excluded", "chosen"),
    [
        ({}, (), None),
        ({"a": (0, 1)}, (), "a"),
        ({"a": (1, 1)}, (), None),
        ({"a": (5, 4)}, (), None),
        ({"a": (0, 0)}, (), None),
        ({"a": (2, 4), "b": (1, 4)}, (), "b"),
        ({"b": (1, 4), "a": (1, 4)}, (), "a"),
        ({"a": (4, 4), "b": (3, 4)}, (), "b"),
        ({"a": (0, 4), "b": (3, 4)}, ("a",), "b"),
        ({"a": (0, 4), "b": (3, 4)}, ("a", "b"), None),
        ({"a": (0, 4), "b": (4, 4)}, ("a",), None),
        ({"small": (1, 2), "large": (2, 8)}, (), "large"),
        ({"a": (0, 4)}, ("unknown",), "a"),
    ],
)
def test_choices(loads: Loads, excluded: tuple[str, ...], chosen: str | None) -> None:
    found = choose(_candidates(loads), excluded)
    assert (found and found.instance_id) == chosen


CANDIDATES = st.lists(
    structs(
        Candidate,
        instance_id=st.text("abc", min_size=1, max_size=2),
        slots=st.integers(0, 8),
        in_flight=st.integers(0, 8),
        weight=st.sampled_from([0.5, 1.0, 3.0]),
        served=st.floats(0, 100),
    ),
    unique_by=lambda one: one.instance_id,
)


@given(candidates=CANDIDATES, excluded=st.sets(st.text("abc", min_size=1, max_size=2)))
def test_the_choice_is_free_least_loaded_and_not_a_matter_of_order(
    candidates: list[Candidate], excluded: set[str]
) -> None:
    free = [one for one in candidates if one.in_flight < one.slots]
    free = [one for one in free if one.instance_id not in excluded]
    chosen = choose(candidates, excluded)
    assert choose(reversed(candidates), excluded) == chosen
    if chosen is None:
        assert not free
        return
    assert chosen in free
    here = [one for one in free if not one.is_upstream]
    if here:
        load = chosen.in_flight / chosen.slots
        assert chosen in here
        assert all(load <= one.in_flight / one.slots for one in here)
    else:
        behind = (chosen.served + 1) / chosen.weight
        assert all(behind <= (one.served + 1) / one.weight for one in free)


def test_requests_one_after_another_spread_evenly() -> None:
    loads = {"a": 0, "b": 0, "c": 0}
    for _ in range(60):
        found = choose(
            Candidate(instance_id=id, slots=20, in_flight=load) for id, load in loads.items()
        )
        assert found is not None
        loads[found.instance_id] += 1
    assert loads == {"a": 20, "b": 20, "c": 20}


def an_upstream(id: str, weight: float, served: float = 0.0, in_flight: int = 0) -> Candidate:
    return Candidate(
        instance_id=id,
        slots=4,
        in_flight=in_flight,
        is_upstream=True,
        weight=weight,
        served=served,
    )


def test_an_upstream_is_for_what_does_not_fit_here() -> None:
    up = an_upstream("a", 100.0)
    busy = Candidate(instance_id="b", slots=4, in_flight=3)
    full = Candidate(instance_id="b", slots=4, in_flight=4)
    assert choose([up, busy]) == busy
    assert choose([up, full]) == up
    assert choose([up, busy], excluded=("b",)) == up
    assert choose([an_upstream("a", 1.0, in_flight=4), full]) is None


@given(
    weights=st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0, 5.0]), min_size=1, max_size=5),
    requests=st.integers(1, 200),
)
def test_of_many_requests_each_upstream_gets_its_share(weights: list[float], requests: int) -> None:
    served = dict.fromkeys(range(len(weights)), 0.0)
    for _ in range(requests):
        found = choose(an_upstream(str(id), weights[id], count) for id, count in served.items())
        assert found is not None
        served[int(found.instance_id)] += 1
    for id, count in served.items():
        assert abs(count - requests * weights[id] / sum(weights)) <= len(weights)


def test_one_that_joins_gets_its_share_from_then_on() -> None:
    others = [an_upstream("a", 1.0, served=40), an_upstream("b", 3.0, served=123)]
    here = Candidate(instance_id="c", slots=4, in_flight=0, served=1000)
    assert caught_up(2.0, [*others, here]) == 80
    assert caught_up(2.0, [here]) == 0
