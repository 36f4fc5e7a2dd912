"""How large an instance is, where its owner did not say."""

from __future__ import annotations

import pytest

from hydra_box.errors import InvalidRequest
from hydra_box.plan.sizes import check_instances, choose_context_length, choose_slots


@pytest.mark.parametrize(
    ("requested", "trained", "chosen"),
    [
        (None, 131_072, 8192),
        (None, 2048, 2048),
        (None, 32, 32),
        (131_072, 131_072, 131_072),
        (64, 2048, 64),
        (32, 32, 32),
    ],
)
def test_context_lengths(requested: int | None, trained: int, chosen: int) -> None:
    assert choose_context_length(requested, trained) == chosen


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
        choose_context_length(requested, trained)
    assert (caught.value.message, caught.value.hint) == (fact, hint)
    assert caught.value.param == "context_length"


@pytest.mark.parametrize(("requested", "chosen"), [(None, 4), (1, 1), (256, 256)])
def test_slots(requested: int | None, chosen: int) -> None:
    assert choose_slots(requested) == chosen


@pytest.mark.parametrize("requested", [0, -1, 257, 2**70])
def test_slots_that_are_refused(requested: int) -> None:
    with pytest.raises(InvalidRequest, match=f"a concurrency of {requested} is not possible"):
        choose_slots(requested)


@pytest.mark.parametrize("target", [1, 64])
def test_numbers_of_instances(target: int) -> None:
    assert check_instances(target) == target


@pytest.mark.parametrize("target", [0, -1, 65, 2**70])
def test_numbers_of_instances_that_are_refused(target: int) -> None:
    with pytest.raises(InvalidRequest, match=f"{target} instances are not possible") as caught:
        check_instances(target)
    assert caught.value.hint == "ask for 1 to 64; to run none, stop the service"
