"""How large an instance may be, and how large it is where nobody said."""

from __future__ import annotations

import pytest

from hydra_box.errors import InvalidRequest
from hydra_box.plan.sizes import (
    check_context_length,
    check_instances,
    check_slots,
    fewer_slots,
    longer_contexts,
    shorter_contexts,
    useful_context,
)
from hydra_box.types import Ask, Modality
from tests.plan.making import facts


@pytest.mark.parametrize(
    ("requested", "trained"),
    [(None, 131_072), (131_072, 131_072), (64, 2048), (32, 32)],
)
def test_context_lengths(requested: int | None, trained: int) -> None:
    check_context_length(requested, trained)


@pytest.mark.parametrize(
    ("requested", "trained", "fact", "hint"),
    [
        (
            4096,
            2048,
            "a context of 4,096 tokens is longer than the 2,048 that the model was trained for",
            "ask for 2,048 or fewer",
        ),
        (63, 2048, "a context of 63 tokens holds no conversation", "ask for 64 to 2,048"),
        (0, 2048, "a context of 0 tokens holds no conversation", "ask for 64 to 2,048"),
        (-1, 2048, "a context of -1 tokens holds no conversation", "ask for 64 to 2,048"),
        (31, 32, "a context of 31 tokens holds no conversation", "ask for 32 to 32"),
    ],
)
def test_context_lengths_that_are_refused(
    requested: int, trained: int, fact: str, hint: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_context_length(requested, trained)
    assert (caught.value.message, caught.value.hint) == (fact, hint)
    assert caught.value.param == "context_length"


@pytest.mark.parametrize("requested", [None, 1, 256])
def test_slots(requested: int | None) -> None:
    check_slots(requested)


@pytest.mark.parametrize("requested", [0, -1, 257, 2**70])
def test_slots_that_are_refused(requested: int) -> None:
    with pytest.raises(InvalidRequest, match=f"a concurrency of {requested} is not possible"):
        check_slots(requested)


@pytest.mark.parametrize("target", [1, 64])
def test_numbers_of_instances(target: int) -> None:
    assert check_instances(target) == target


@pytest.mark.parametrize("target", [0, -1, 65, 2**70])
def test_numbers_of_instances_that_are_refused(target: int) -> None:
    with pytest.raises(InvalidRequest, match=f"{target} instances are not possible") as caught:
        check_instances(target)
    assert caught.value.hint == "ask for 1 to 64; to run none, stop the service"


@pytest.mark.parametrize(
    ("asked", "trained", "useful", "longer", "shorter"),
    [
        (None, 131_072, 8192, (32_768, 16_384), (4096, 2048)),
        (None, 40_960, 8192, (32_768, 16_384), (4096, 2048)),
        (None, 12_000, 8192, (12_000,), (4096, 2048)),
        (None, 2048, 2048, (), ()),
        (None, 3000, 3000, (), (2048,)),
        (None, 32, 32, (), ()),
        (20_000, 131_072, 20_000, (), ()),
    ],
)
def test_the_context_where_nobody_said(
    asked: int | None,
    trained: int,
    useful: int,
    longer: tuple[int, ...],
    shorter: tuple[int, ...],
) -> None:
    ask, model = Ask(context_length=asked), facts(context_length=trained)
    assert useful_context(ask, model) == useful
    assert longer_contexts(ask, model, useful) == longer
    assert shorter_contexts(ask, useful) == shorter


def test_the_context_of_an_embedding_model_does_not_grow() -> None:
    model = facts(modality=Modality.EMBEDDING)
    assert longer_contexts(Ask(), model, 2048) == ()


def test_slots_shrink_only_if_none_were_asked_for() -> None:
    assert fewer_slots(Ask()) == (3, 2, 1)
    assert fewer_slots(Ask(slots=4)) == ()
