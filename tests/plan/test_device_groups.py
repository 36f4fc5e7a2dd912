"""How many instances fit, and which devices they get."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.device_groups import (
    ON_CPU,
    Needs,
    assign,
    capacity,
    on_equal,
    on_exactly,
    on_one,
)
from tests import machines
from tests.machines import gpu

EIGHT = machines.eight_h200().gpus


def rooms(*bytes_: int, cpu: int = 1000) -> dict[str, int]:
    return {"cpu": cpu, **{one.uuid: room for one, room in zip(EIGHT, bytes_, strict=False)}}


def needs(rank: int, width: int = 1, cpu: int = 0) -> Needs:
    return Needs(gpus=(rank,) * width, cpu=cpu)


@pytest.mark.parametrize(
    ("width", "free", "rank", "count"),
    [
        (1, (10, 10), 10, 2),
        (1, (10, 10), 11, 0),
        (1, (25, 9), 5, 6),
        (2, (10, 10, 10), 10, 1),
        (2, (20, 10, 10), 10, 2),
        (2, (40, 10, 10), 10, 2),
        (2, (90, 9, 9), 10, 0),
        (4, (10,) * 8, 10, 2),
        (8, (20,) * 8, 10, 2),
    ],
)
def test_how_many_fit(width: int, free: tuple[int, ...], rank: int, count: int) -> None:
    gpus = EIGHT[: len(free)]
    ground = on_one(gpus) if width == 1 else on_equal(gpus, width)
    assert ground is not None
    assert capacity(ground, needs(rank, width), rooms(*free)) == count


def test_the_ram_bounds_too() -> None:
    assert capacity(ON_CPU, Needs(gpus=(), cpu=300), rooms(cpu=1000)) == 3
    assert capacity(on_one(EIGHT[:1]), needs(1, cpu=400), rooms(100, cpu=1000)) == 2


def test_more_than_64_are_never_counted() -> None:
    assert capacity(on_one(EIGHT[:1]), needs(1), rooms(1000)) == 64
    assert capacity(ON_CPU, Needs(gpus=(), cpu=0), rooms()) == 64


def test_the_gpus_of_an_exact_ground_are_shared_in_its_order() -> None:
    ground = on_exactly((EIGHT[1], EIGHT[0]))
    need = Needs(gpus=(10, 30), cpu=0)
    assert capacity(ground, need, rooms(60, 30)) == 2
    assert capacity(ground, need, rooms(60, 9)) == 0
    assert assign(ground, need, rooms(60, 30), {}, 2) == ((EIGHT[1].uuid, EIGHT[0].uuid),) * 2


def test_instances_are_spread() -> None:
    groups = assign(on_one(EIGHT[:3]), needs(1), rooms(50, 50, 50), {EIGHT[0].uuid: 1}, 5)
    assert [one for (one,) in groups] == [
        EIGHT[1].uuid, EIGHT[2].uuid, EIGHT[0].uuid, EIGHT[1].uuid, EIGHT[2].uuid,
    ]  # fmt: skip


def test_of_equally_busy_gpus_the_one_with_the_most_room_is_taken() -> None:
    assert assign(on_one(EIGHT[:3]), needs(1), rooms(50, 70, 60), {}, 1) == ((EIGHT[1].uuid,),)


def test_nvlink_pairs_come_first_then_pcie_bridges() -> None:
    linked = [
        gpu("A6000", 49_140, (8, 6), index=0, nvlink=(2,), pcie=(1,)),
        gpu("A6000", 49_140, (8, 6), index=1, nvlink=(3,), pcie=(0,)),
        gpu("A6000", 49_140, (8, 6), index=2, nvlink=(0,), pcie=(3,)),
        gpu("A6000", 49_140, (8, 6), index=3, nvlink=(1,), pcie=(2,)),
    ]
    free = {"cpu": 0, **{one.uuid: 10 for one in linked}}
    ground = on_equal(linked, 2)
    assert ground is not None
    pairs = assign(ground, needs(10, 2), free, {}, 2)
    assert pairs == ((linked[0].uuid, linked[2].uuid), (linked[1].uuid, linked[3].uuid))
    bare = [msgspec.structs.replace(one, nvlink_peers=()) for one in linked]
    ground = on_equal(bare, 2)
    assert ground is not None
    pairs = assign(ground, needs(10, 2), free, {}, 2)
    assert pairs == ((linked[0].uuid, linked[1].uuid), (linked[2].uuid, linked[3].uuid))


def test_the_preferred_pair_yields_where_the_rest_would_not_fit() -> None:
    gpus = [
        gpu("L4", 23_034, (8, 9), index=0, nvlink=(1,)),
        gpu("L4", 23_034, (8, 9), index=1, nvlink=(0,)),
        gpu("L4", 23_034, (8, 9), index=2),
    ]
    free = {"cpu": 0, gpus[0].uuid: 10, gpus[1].uuid: 10, gpus[2].uuid: 20}
    ground = on_equal(gpus, 2)
    assert ground is not None
    pairs = assign(ground, needs(10, 2), free, {}, 2)
    assert Counter(one for pair in pairs for one in pair)[gpus[2].uuid] == 2


def test_unequal_gpus_and_parts_of_a_gpu_share_no_layers() -> None:
    mixed = (gpu("A", 1000, (8, 6)), gpu("B", 1000, (8, 6), index=1))
    assert on_equal(mixed, 2) is None
    parts = tuple(
        msgspec.structs.replace(
            gpu("H200 MIG 3g.71gb", 71_000, (9, 0), index=index),
            parent_uuid="GPU-parent",
            mig_profile="3g.71gb",
        )
        for index in range(2)
    )
    assert on_equal(parts, 2) is None
    assert capacity(on_one(parts), needs(1), {"cpu": 0, **{one.uuid: 1 for one in parts}}) == 2


@given(
    free=st.lists(st.integers(0, 60), min_size=1, max_size=6),
    width=st.integers(1, 4),
    rank=st.integers(1, 20),
    cpu=st.integers(0, 20),
)
def test_as_many_as_are_said_to_fit_can_be_placed(
    free: list[int], width: int, rank: int, cpu: int
) -> None:
    gpus = EIGHT[: len(free)]
    ground = on_one(gpus) if width == 1 else on_equal(gpus, width)
    if ground is None:
        assert width > len(free)
        return
    need, room = needs(rank, width, cpu), rooms(*free, cpu=100)
    count = capacity(ground, need, room)
    groups = assign(ground, need, room, {}, count)
    assert len(groups) == count
    for group in groups:
        assert len(set(group)) == width
        room["cpu"] -= cpu
        for one in group:
            room[one] -= rank
    assert min(room.values()) >= 0
    if width == 1:
        assert sum(room[one.uuid] // rank for one in gpus) == 0 or room["cpu"] < cpu or count == 64
