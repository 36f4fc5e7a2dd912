"""Which instance takes a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.routing import Candidate, choose
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
    else:
        assert chosen in free
        assert all(chosen.in_flight / chosen.slots <= one.in_flight / one.slots for one in free)


def test_requests_one_after_another_spread_evenly() -> None:
    loads = {"a": 0, "b": 0, "c": 0}
    for _ in range(60):
        found = choose(
            Candidate(instance_id=id, slots=20, in_flight=load) for id, load in loads.items()
        )
        assert found is not None
        loads[found.instance_id] += 1
    assert loads == {"a": 20, "b": 20, "c": 20}
