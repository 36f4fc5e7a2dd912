"""How many layers of a llama.cpp instance each GPU gets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.plan.device_groups import on_exactly
from hydra_box.plan.layer_split import even_split, fill
from hydra_box.plan.layout import Site, fits, site_of
from hydra_box.plan.llama_cpp_memory import layer_devices
from hydra_box.plan.llama_cpp_setup import is_whole, plain
from hydra_box.types import Ask, EngineOptions
from tests import machines
from tests.plan.making import GIB, gguf


def site(*free_gib: float, ram_gib: int = 256) -> Site:
    gpus = [
        machines.gpu("GPU", round(free * 1024) + 1024, (8, 6), index=index)
        for index, free in enumerate(free_gib)
    ]
    return site_of(machines.machine(*gpus, ram_gib=ram_gib, free_ram_gib=ram_gib), (), {}, Ask())


@pytest.mark.parametrize(
    ("layers", "rooms", "shares"),
    [
        (33, (1, 1), (17, 16)),
        (33, (2, 1), (22, 11)),
        (81, (10, 10, 1), (39, 38, 4)),
        (3, (5, 0), (3, 0)),
    ],
)
def test_shares_in_proportion(
    layers: int, rooms: tuple[int, ...], shares: tuple[float, ...]
) -> None:
    assert even_split(layers, rooms) == shares


@given(counts=st.lists(st.integers(0, 40), min_size=1, max_size=4), on_cpu=st.integers(0, 20))
def test_whole_shares_give_exactly_those_layers(counts: list[int], on_cpu: int) -> None:
    total = sum(counts)
    if not total:
        return
    options = EngineOptions(
        context_length=512,
        slots=1,
        batch_tokens=512,
        gpu_layers=total,
        split=tuple(float(one) for one in counts),
    )
    where = layer_devices(total + on_cpu - 1, len(counts), options)
    assert [where.count(one) for one in range(len(counts))] == counts
    assert where.count(-1) == on_cpu


def test_a_model_that_fits_is_split_in_proportion() -> None:
    here = site(24, 12)
    found = fill(here, plain(here, gguf("Q4_K_M", 20 * GIB), on_exactly(here.gpus), 4096, 1))
    assert found is not None
    assert is_whole(found)
    assert found.options.split == (22, 11)


def test_a_model_that_does_not_fit_leaves_its_first_layers_to_the_cpu() -> None:
    here = site(8, 8)
    found = fill(here, plain(here, gguf("Q4_K_M", 40 * GIB), on_exactly(here.gpus), 4096, 1))
    assert found is not None
    assert fits(here, found)
    assert found.options.gpu_layers == sum(found.options.split) < 33
    more = (found.options.split[0] + 1, found.options.split[1])
    assert sum(more) > found.options.gpu_layers


def test_nothing_fits_where_the_ram_is_too_small_for_the_rest() -> None:
    here = site(8, 8, ram_gib=4)
    assert fill(here, plain(here, gguf("Q4_K_M", 40 * GIB), on_exactly(here.gpus), 4096, 1)) is None


def test_nothing_fits_on_gpus_without_room() -> None:
    here = site(0.5, 0.5)
    assert fill(here, plain(here, gguf("Q4_K_M", 40 * GIB), on_exactly(here.gpus), 4096, 1)) is None


@settings(max_examples=40)
@given(free=st.lists(st.integers(4, 30), min_size=2, max_size=4), size=st.integers(2, 100))
def test_a_filling_never_exceeds_a_gpu(free: list[int], size: int) -> None:
    here = site(*free)
    found = fill(here, plain(here, gguf("Q4_K_M", size * GIB), on_exactly(here.gpus), 4096, 1))
    if found is not None:
        for gpu, need in zip(here.gpus, found.needs.gpus, strict=True):
            assert need <= here.available[gpu.uuid]
