from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.shown.numbers import duration, shares, size
from tests.tui import still_life
from tui.widgets.history_charts import columns, draw
from tui.widgets.memory_bar import memory_bar
from tui.words import cut, device, gib, latency, short, sparkline

GIB = 1 << 30


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (12.4, "12"), (999, "999"), (1234, "1.2k"), (45_600, "46k"), (2.5e6, "2.5M")],
)
def test_short_numbers(number: float, text: str) -> None:
    assert short(number) == text


@given(st.floats(min_value=0, max_value=1e12))
def test_a_short_number_has_four_characters_at_most(number: float) -> None:
    assert len(short(number)) <= 4


def test_sizes_and_times() -> None:
    assert gib(0) == "0.0"
    assert gib(1) == "<0.1"
    assert gib(24 * GIB) == "24.0"
    assert size(1536) == "1.5 KiB"
    assert duration(61) == "1 min 1 s"
    assert duration(90_000) == "1 d 1 h"
    assert latency(None) == "-"
    assert latency(0.084) == "84 ms"
    assert latency(1.25) == "1.2 s"


def test_devices_by_their_numbers() -> None:
    machine = still_life.machine()
    first, second = still_life.GPUS
    assert device("cpu", machine) == "CPU"
    assert device("", machine) == "-"
    assert device(f"{first},{second}", machine) == "GPU 0,1"
    assert device("GPU-99999999-gone", machine) == "GPU-99999999"


def test_sparklines() -> None:
    assert sparkline([], 5) == ""
    assert sparkline([0, 0], 5) == "··"
    assert sparkline([0, 1, 8], 5) == " ▁█"
    assert sparkline([1, 2, 3, 4], 2) == "▆█"


def test_cutting_says_so() -> None:
    assert cut("short", 10) == "short"
    assert len(cut("a name that is long", 10)) <= 10
    assert cut("averylongwordwithoutspaces", 10).endswith("…")


@given(
    st.lists(st.integers(min_value=0, max_value=1 << 40), min_size=1, max_size=5),
    st.integers(min_value=5, max_value=60),
)
def test_the_shares_of_a_bar_fill_it(parts: list[int], width: int) -> None:
    counts = shares(parts, width)
    assert sum(counts) == (width if any(parts) else 0)
    assert all(number >= 1 for number, part in zip(counts, parts, strict=True) if part)


def test_a_bar_tells_whose_memory_without_colour() -> None:
    bar = memory_bar(others=GIB, ours=2 * GIB, plan=GIB, free=4 * GIB, width=8)
    assert bar.plain == "▒▓▓█░░░░"


def test_a_chart_is_an_hour_that_ends_with_the_last_sample() -> None:
    points = columns(still_life.history(), lambda one: one.tokens_per_second, 36)
    assert len(points) == 36
    assert all(point is not None for point in points)
    few = columns(still_life.history(), lambda one: None, 36)
    assert few == [None] * 36
    lines = list(draw([0.0, 1.0, None, 8.0], 2))
    assert lines == ["   █", " ▂ █"]
