from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.bar_chart import Bar, block, chart, label_line, label_step, scale_top


def drawn(bars: list[Bar], width: int, height: int, **options: int) -> list[str]:
    return [scale + text for scale, text, _ in chart(bars, width, height, **options)]


def test_a_chart_has_bars_a_scale_and_labels() -> None:
    bars = [Bar(label=name, value=value) for name, value in (("Mo", 0), ("Tu", 10), ("We", 5))]
    assert drawn(bars, 17, 6) == [
        "10┤    ███     ",
        "  │    ███     ",
        " 5┤    ███ ███ ",
        "  │    ███ ███ ",
        " 0└┬───┬───┬───",
        "   Mo  Tu  We",
    ]


def test_what_is_there_at_all_is_seen() -> None:
    bars = [Bar(label="a", value=1), Bar(label="b", value=100_000)]
    assert "▁" in drawn(bars, 20, 8)[5]


def test_the_newest_bars_stay_where_there_is_too_little_room() -> None:
    bars = [Bar(label=f"{at}", value=at) for at in range(48)]
    lines = drawn(bars, 24, 6)
    assert max(map(len, lines)) <= 24
    assert lines[0].endswith(" ▁▁")
    assert lines[-1].endswith("29 32 35 38 41 44")


def test_there_is_nothing_without_bars_or_room() -> None:
    assert chart([], 80, 20) == []
    assert chart([Bar(label="a", value=1)], 80, 3) == []


@given(
    values=st.lists(st.integers(0, 10**12), min_size=1, max_size=60),
    width=st.integers(1, 300),
    height=st.integers(0, 60),
)
def test_a_chart_never_leaves_its_place(values: list[int], width: int, height: int) -> None:
    lines = drawn([Bar(label="Wed 25", value=one) for one in values], width, height)
    assert len(lines) <= height
    assert all(len(line) <= max(width, 0) for line in lines)


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 2), (1, 2), (3, 4), (9, 10), (11, 20), (99, 100), (401, 600), (1001, 2000)],
)
def test_the_scale_ends_at_a_round_number(most: int, top: int) -> None:
    assert scale_top(most) == top


def test_a_bar_ends_in_eighths() -> None:
    assert [block(5, 16, 2, row) for row in (0, 1)] == ["▅", " "]
    assert [block(11, 16, 2, row) for row in (0, 1)] == ["█", "▃"]
    assert [block(0, 16, 2, row) for row in (0, 1)] == [" ", " "]


def test_labels_never_touch() -> None:
    assert label_step(["00:00", "01:00"], 1) == 6
    assert label_step(["Mon 5"], 6) == 1
    assert label_line({0: "ab", 2: "cd", 6: "efgh"}, 8) == "ab  efgh"
