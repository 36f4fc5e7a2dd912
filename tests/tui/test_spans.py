from __future__ import annotations

import pytest

from hydra_box.errors import InvalidRequest
from hydra_box.shown.spans import span
from tui.spans import read_idle_timeout


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        (" Never ", None),
        ("90s", 90.0),
        ("15m", 900.0),
        ("2 H", 7200.0),
        ("1d", 86_400.0),
        ("0.5s", 0.5),
    ],
)
def test_an_idle_timeout_is_a_span_or_never(text: str, seconds: float | None) -> None:
    assert read_idle_timeout(text) == seconds


@pytest.mark.parametrize("text", ["15", "-1m", "soon", "5w", "²m"])
def test_another_is_refused_at_its_field(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is no time") as refused:
        read_idle_timeout(text)
    assert refused.value.param == "idle_timeout_seconds"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "never"), (90.0, "90s"), (900.0, "15m"), (5400.0, "90m"), (172_800.0, "2d")],
)
def test_it_is_shown_as_it_is_typed(seconds: float | None, text: str) -> None:
    assert span(seconds) == text
    assert read_idle_timeout(text) == seconds


def test_parts_of_a_second_are_shown_too() -> None:
    assert span(1.5) == "1.5s"
    assert read_idle_timeout("1.5s") == 1.5
