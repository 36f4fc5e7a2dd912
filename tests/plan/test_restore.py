"""Who may start when many have to, and when each will be ready: decided purely."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.restore import (
    Eta,
    Load,
    etas,
    in_order,
    keeps_place,
    start_now,
    starts_asleep,
    waits_for,
)
from hydra_box.types import Instance, InstanceState, Service
from tests.samples import a_service, an_instance

S = InstanceState


def pending(service: str, number: int = 1, **changes: Any) -> Instance:
    values: dict[str, Any] = {"service_id": f"svc-{service}", "created_at": float(number)}
    return an_instance(f"{service}-0000000{number}", **values | changes)


def order(
    *due: Instance,
    services: list[Service],
    present: tuple[Instance, ...] = (),
    **more: Any,
) -> list[str]:
    by_id = {one.id: one for one in services}
    values: dict[str, Any] = {"last_used": {}} | more
    return [one.id[:3] for one in in_order(due, (*present, *due), by_id, **values)]


def load(name: str, seconds: float = 10.0, **changes: Any) -> Load:
    return Load(instance_id=f"{name}-1", service_id=name, seconds=seconds, **changes)


def test_the_higher_priority_comes_first() -> None:
    services = [a_service("a"), a_service("b", priority=90), a_service("c", priority=50)]
    due = [pending("a"), pending("b"), pending("c")]
    assert order(*due, services=services) == ["b-0", "c-0", "a-0"]


def test_the_first_instance_of_every_service_comes_before_the_second_of_any() -> None:
    services = [a_service("a", priority=90), a_service("b")]
    due = [pending("a", 1), pending("a", 2), pending("b", 3)]
    assert [one.id for one in in_order(due, due, {x.id: x for x in services}, last_used={})] == [
        "a-00000001",
        "b-00000003",
        "a-00000002",
    ]


@pytest.mark.parametrize("state", [S.READY, S.STARTING, S.ASLEEP])
def test_an_instance_that_serves_or_loads_is_the_first_of_its_service(state: S) -> None:
    services = [a_service("a", priority=90), a_service("b")]
    there = pending("a", 1, state=state)
    due = [pending("a", 2), pending("b", 3)]
    assert order(*due, services=services, present=(there,)) == ["b-0", "a-0"]


@pytest.mark.parametrize("state", [S.BACKOFF, S.FAILED, S.STOPPING, S.DRAINING, S.STOPPED])
def test_one_that_does_not_serve_is_none(state: S) -> None:
    services = [a_service("a", priority=90), a_service("b")]
    there = pending("a", 1, state=state)
    due = [pending("a", 2), pending("b", 3)]
    assert order(*due, services=services, present=(there,)) == ["a-0", "b-0"]


def test_of_one_priority_who_is_waited_for_comes_first_then_who_was_called_last() -> None:
    services = [
        a_service(name, created_at=at) for name, at in zip("abcd", (4, 3, 2, 1), strict=True)
    ]
    due = [pending(name) for name in "abcd"]
    found = order(
        *due,
        services=services,
        waking={"svc-d"},
        last_used={"svc-c": 1000.0, "svc-b": 900.0, "svc-d": 5.0},
    )
    assert found == ["d-0", "c-0", "b-0", "a-0"]


def test_of_those_never_called_the_newest_comes_first() -> None:
    services = [a_service("a", created_at=10.0), a_service("b", created_at=20.0)]
    assert order(pending("a"), pending("b"), services=services) == ["b-0", "a-0"]


def test_an_instance_of_a_service_that_is_gone_is_in_nobodys_way() -> None:
    there = pending("gone", state=S.READY)
    assert order(pending("a"), services=[a_service("a")], present=(there,)) == ["a-0"]


@pytest.mark.parametrize(
    ("waiting", "under_way", "places", "starting"),
    [
        ([], [], 1, []),
        (["a", "b", "c"], [], 1, ["a"]),
        (["a", "b", "c"], [], 2, ["a", "b"]),
        (["a", "b"], [load("x")], 1, []),
        (["a", "b"], [load("x")], 2, ["a"]),
        # It hangs: it holds up nobody.
        (["a", "b"], [load("x", has_place=False)], 1, ["a"]),
    ],
)
def test_so_many_load_at_once(
    waiting: list[str], under_way: list[Load], places: int, starting: list[str]
) -> None:
    found = start_now([load(one) for one in waiting], under_way, places)
    assert [one.service_id for one in found] == starting


COLD = load("cold", reading_seconds=4.0, disk=1)


@pytest.mark.parametrize(
    ("waiting", "under_way", "starting"),
    [
        ([load("a", reading_seconds=9.0, disk=1)], [COLD], []),
        ([load("a", reading_seconds=9.0, disk=2)], [COLD], ["a"]),
        ([load("a", disk=1)], [COLD], ["a"]),
        # It has read all, and compiles.
        ([load("a", reading_seconds=9.0, disk=1)], [load("x", disk=1)], ["a"]),
        # Nobody overtakes: who is next may need the memory.
        ([load("a", reading_seconds=9.0, disk=1), load("b")], [COLD], []),
        ([load("a"), load("b", reading_seconds=9.0, disk=1)], [COLD], ["a"]),
    ],
)
def test_one_at_a_time_reads_from_a_disk(
    waiting: list[Load], under_way: list[Load], starting: list[str]
) -> None:
    assert [one.service_id for one in start_now(waiting, under_way, 8)] == starting


@pytest.mark.parametrize(
    ("expected", "elapsed", "keeps"),
    [(1.0, 9.9, True), (1.0, 10.0, False), (20.0, 59.0, True), (20.0, 60.0, False)],
)
def test_who_takes_three_times_as_long_gives_its_place_away(
    expected: float, elapsed: float, keeps: bool
) -> None:
    assert keeps_place(expected, elapsed) is keeps


def test_each_is_ready_after_those_before_it() -> None:
    found = etas([load("a", 10.0), load("b", 5.0)], [load("x", 3.0)], 1)
    assert found == {
        "x": Eta(seconds=3.0, before=0),
        "a": Eta(seconds=13.0, before=1),
        "b": Eta(seconds=18.0, before=2),
    }


def test_two_places_are_two_queues() -> None:
    found = etas([load("a", 10.0), load("b", 4.0), load("c", 2.0)], [], 2)
    assert {name: one.seconds for name, one in found.items()} == {"a": 10.0, "b": 4.0, "c": 6.0}


def test_the_next_reads_while_the_one_before_it_compiles() -> None:
    first = load("a", 60.0, reading_seconds=10.0)
    second = load("b", 20.0, reading_seconds=15.0)
    assert etas([first, second], [], 2)["b"] == Eta(seconds=30.0, before=1)
    assert etas([first, second], [], 1)["b"] == Eta(seconds=80.0, before=1)


def test_one_that_is_tried_again_later_lets_others_pass() -> None:
    found = etas([load("a", 10.0, due_seconds=8.0), load("b", 3.0)], [], 1)
    assert found == {"b": Eta(seconds=3.0, before=0), "a": Eta(seconds=18.0, before=1)}


def test_of_several_instances_the_first_one_counts() -> None:
    second = Load(instance_id="a-2", service_id="a", seconds=1.0)
    assert etas([load("a", 10.0), second], [], 2)["a"] == Eta(seconds=1.0, before=1)


def test_one_that_hangs_is_in_nobodys_way() -> None:
    found = etas([load("a", 10.0)], [load("x", 99.0, has_place=False)], 1)
    assert found["a"] == Eta(seconds=10.0, before=0)


seconds = st.floats(0.1, 1e4)
loads = st.lists(
    st.builds(
        Load,
        instance_id=st.uuids().map(str),
        service_id=st.uuids().map(str),
        seconds=seconds,
        reading_seconds=st.sampled_from([0.0, 0.1, 5.0]),
        disk=st.integers(1, 2),
        due_seconds=st.sampled_from([0.0, 0.3, 7.7]),
        has_place=st.booleans(),
    ),
    max_size=8,
)


@given(loads, loads, st.integers(1, 4))
def test_whoever_is_to_start_will_be_ready(
    waiting: list[Load], under_way: list[Load], places: int
) -> None:
    found = etas(waiting, under_way, places)
    assert set(found) == {one.service_id for one in (*waiting, *under_way)}
    for one in waiting:
        assert found[one.service_id].seconds >= one.seconds + one.due_seconds - 1e-6


@given(loads, loads, st.integers(1, 4))
def test_there_are_never_more_than_places_and_never_two_on_a_disk(
    waiting: list[Load], under_way: list[Load], places: int
) -> None:
    let = start_now(waiting, under_way, places)
    assert let == waiting[: len(let)]
    if let:
        busy = [one for one in under_way if one.has_place] + let
        assert len(busy) <= places
        assert not any(
            one.reading_seconds and other.reading_seconds and one.disk == other.disk
            for one in let
            for other in busy
            if one is not other
        )


@pytest.mark.parametrize(
    ("before", "words"),
    [(0, "its engine starts next"), (1, "1 engine before it"), (2, "2 engines before it")],
)
def test_who_waits_is_told_how_many_come_before(before: int, words: str) -> None:
    assert waits_for(before) == words


@pytest.mark.parametrize(
    ("timeout", "last_used", "asleep"),
    [
        (None, 0.0, False),
        (60.0, 945.0, False),
        (60.0, 940.0, True),
        (60.0, None, True),
        (995.0, None, False),
        # Deployed after its last request, which cannot be: its deployment counts.
        (995.0, 1.0, False),
    ],
)
def test_whose_idle_timeout_is_over_starts_asleep(
    timeout: float | None, last_used: float | None, asleep: bool
) -> None:
    service = a_service(created_at=10.0, idle_timeout_seconds=timeout)
    assert starts_asleep(service, last_used, now=1000.0) is asleep
