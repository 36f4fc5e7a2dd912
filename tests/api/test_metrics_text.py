"""The text format itself: what is written can be read, strictly, and is what was meant."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.prometheus import Family, Kind, Sample, columns, gauge, render
from hydra_box.types import Histogram
from tests.exposition import read

TEXT = st.text(st.characters(codec="utf-8"))


def test_text_is_as_the_format_has_it() -> None:
    family = Family(
        "a_total",
        Kind.COUNTER,
        "A \\ and\na line.",
        (
            Sample(1, {"name": 'a "quoted" \\ path\nand a line'}),
            Sample(2.5),
            Sample(None, {"left": "out"}),
        ),
    )
    assert render([family]) == (
        "# HELP a_total A \\\\ and\\na line.\n"
        "# TYPE a_total counter\n"
        'a_total{name="a \\"quoted\\" \\\\ path\\nand a line"} 1\n'
        "a_total 2.5\n"
    )


@pytest.mark.parametrize(("labels", "told"), [({}, ""), ({"service": "a"}, 'service="a",')])
def test_histogram_is_cumulative_and_ends_in_infinity(labels: dict[str, str], told: str) -> None:
    histogram = Histogram(bounds=(0.005, 1.0), counts=(2, 0, 1), sum=7.25)
    braced = f"{{{told.rstrip(',')}}}" if told else ""
    assert render([Family("a_seconds", Kind.HISTOGRAM, "A.", (Sample(histogram, labels),))]) == (
        "# HELP a_seconds A.\n"
        "# TYPE a_seconds histogram\n"
        f'a_seconds_bucket{{{told}le="0.005"}} 2\n'
        f'a_seconds_bucket{{{told}le="1"}} 2\n'
        f'a_seconds_bucket{{{told}le="+Inf"}} 3\n'
        f"a_seconds_sum{braced} 7.25\n"
        f"a_seconds_count{braced} 3\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (2**53 + 1, "9007199254740993"),
        (143771 * 2**20, "150754820096"),
        (0.1, "0.1"),
        (1e-9, "1e-09"),
        (1700000000.25, "1700000000.25"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_are_exact(value: float, text: str) -> None:
    assert render([gauge("a", "A.", Sample(value))]).endswith(f"a {text}\n")


def test_family_without_a_number_is_left_out() -> None:
    assert render([gauge("a", "A.", Sample(None))]) == ""


def test_each_figure_is_read_of_each_row() -> None:
    rows = ((number, {"row": str(number)}) for number in (1, 2))
    read_of = (("double", "A.", lambda one: one * 2), ("none", "B.", lambda one: None))
    found = read(render(columns(Kind.GAUGE, "x_", rows, read_of)))
    assert found.names() == {"x_double"}
    assert (found.value("x_double", row="1"), found.value("x_double", row="2")) == (2, 4)


@given(TEXT, TEXT, st.floats(allow_nan=False))
def test_any_label_and_number_is_read_as_it_was(first: str, second: str, value: float) -> None:
    found = read(render([gauge("a", second, Sample(value, {"one": first, "two": second}))]))
    assert found.value("a", one=first, two=second) == value


GAUGE = "# HELP a A.\n# TYPE a gauge\n"
HISTOGRAM = "# HELP a A.\n# TYPE a histogram\n"


@pytest.mark.parametrize(
    "text",
    [
        "a 1\n",
        "# TYPE a gauge\na 1\n",
        f"{GAUGE}a 1",
        GAUGE,
        f"{GAUGE}a 1\na 1\n",
        f'{GAUGE}a{{b="c\\d"}} 1\n',
        f'{GAUGE}a{{b="c",b="d"}} 1\n',
        f"{GAUGE}a one\n",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        f"{GAUGE}b 1\n",
        f"{GAUGE}a 1\n{GAUGE}a 2\n",
        f'{HISTOGRAM}a_bucket{{le="1"}} 1\na_sum 1\na_count 1\n',
        f'{HISTOGRAM}a_bucket{{le="+Inf"}} 1\na_sum 1\na_count 2\n',
        f'{HISTOGRAM}a_bucket{{le="+Inf"}} 1\na_count 1\n',
        f'{HISTOGRAM}a_bucket{{le="1"}} 2\na_bucket{{le="+Inf"}} 1\na_sum 1\na_count 1\n',
        f'{HISTOGRAM}a_bucket{{le="+Inf"}} 1\na_bucket{{le="1"}} 1\na_sum 1\na_count 1\n',
    ],
)
def test_reader_of_these_tests_is_strict(text: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        read(text)
