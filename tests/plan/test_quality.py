"""Which quantisation is better, and which is chosen unasked."""

from __future__ import annotations

import pytest

from hydra_box.plan.quality import bands, best_first, bits, fastest_first, lesser, usual_and_lean
from hydra_box.types import Ask
from tests.plan.making import GIB, facts, gguf

SIZES = {"F16": 16, "Q8_0": 9, "Q6_K": 7, "Q5_K_M": 6, "Q4_K_M": 5, "Q3_K_M": 4, "Q2_K": 3}
OFFERS = tuple(gguf(name, size * GIB) for name, size in SIZES.items())


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("Q4_K_M", 4), ("IQ3_XXS", 3), ("UD-Q2_K_XL", 2), ("Q8_0", 8), ("F16", 16), ("BF16", 16),
        ("F32", 32), ("FP8", 8), ("MXFP4", 4), ("NVFP4", 4), ("AWQ", 4), ("GPTQ-INT4", 4),
        ("INT8", 8), ("W4A16", 4), ("TQ1_0", 1), ("FP8-dynamic", 8),
    ],
)  # fmt: skip
def test_bits_by_name(name: str, count: int) -> None:
    assert bits(facts(quantization=name)) == count


def test_bits_by_size_where_the_name_says_nothing() -> None:
    assert bits(facts(8_000_000_000, quantization=None)) == 8
    assert bits(facts(2_000_000_000, quantization="SOMETHING")) == 2


def names(offers: object) -> list[str | None]:
    assert isinstance(offers, list | tuple)
    return [one.facts.quantization for one in offers]


def test_the_best_is_q8_0_and_unquantised_comes_last() -> None:
    assert names(best_first(OFFERS)) == [
        "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K", "F16",
    ]  # fmt: skip


def test_on_the_cpu_q4_k_m_comes_first() -> None:
    assert names(fastest_first(OFFERS))[:3] == ["Q4_K_M", "Q5_K_M", "Q3_K_M"]


def test_on_the_cpu_a_small_model_is_served_at_its_best() -> None:
    small = [gguf(name, size * GIB // 8) for name, size in SIZES.items()]
    assert names(fastest_first(small))[0] == "Q8_0"


def test_without_q4_k_m_the_smallest_sets_the_pace() -> None:
    assert names(fastest_first(OFFERS[:3])) == ["Q6_K", "Q8_0", "F16"]
    assert fastest_first([]) == ()


def test_four_bits_are_served_and_three_before_refusing() -> None:
    good, fair = bands(Ask(), OFFERS)
    assert names(good) == ["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"]
    assert names(fair) == ["Q3_K_M"]
    assert lesser(Ask(), OFFERS) == ("Q3_K_M", "Q2_K")


def test_four_bits_below_q4_k_m_come_later() -> None:
    small = gguf("IQ4_XS", 9 * GIB // 2)
    usual, lean = usual_and_lean([*OFFERS[:5], small])
    assert names(usual) == ["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"]
    assert names(lean) == ["IQ4_XS"]
    assert usual_and_lean([small]) == ([small], [])


def test_what_was_asked_for_by_name_is_served() -> None:
    asked = Ask(quantization="Q2_K")
    assert bands(asked, OFFERS[-1:]) == (list(OFFERS[-1:]), [])
    assert lesser(asked, OFFERS[-1:]) == ()


def test_the_best_there_is_is_served() -> None:
    assert names(bands(Ask(), OFFERS[-2:])[0]) == ["Q3_K_M"]
    assert names(bands(Ask(), OFFERS[-1:])[0]) == ["Q2_K"]
