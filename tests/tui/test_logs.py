from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.tui.conftest import OpenConsole
from tui.log_lines import Level, is_shown, level_of
from tui.widgets.log_view import wrapped


async def test_any_instance_can_be_followed(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await it.sees("● RUNNING")
        await it.press("6")
        await it.sees("demo  lines: all", "srv")
        await it.press("right_square_bracket")
        await it.sees("lines: all", "srv")
        await it.press("v")
        await it.sees("lines: warnings")
        await it.press("v")
        await it.sees("lines: errors")
        await it.press("v")
        await it.sees("lines: all", "srv")
        await it.press("slash")
        await it.type("no such words")
        await it.until(lambda: "srv" not in it.text, what="nothing has the words")


def test_levels_of_the_engines_own_words() -> None:
    assert level_of("0.00.442.156 I srv  update: all fine") is Level.ALL
    assert level_of("0.00.442.156 W srv  update: slow") is Level.WARNING
    assert level_of("0.00.442.156 E srv  update: broken") is Level.ERROR
    assert level_of("demo-0679f05d | 0.00.442.156 W srv  update: slow") is Level.WARNING
    assert level_of("demo-0679f05d | 0.00.442.156 I srv  init: deprecated") is Level.ALL
    assert level_of("WARNING 11-26 10:00:00 [x.py:1] deprecated flag") is Level.WARNING
    assert level_of("ERROR 11-26 10:00:00 [core.py:1] CUDA out of memory") is Level.ERROR
    assert level_of("Traceback (most recent call last):") is Level.ERROR


def test_a_line_needs_the_words_and_the_level() -> None:
    assert is_shown("WARNING Slow Disk", "slow", Level.WARNING)
    assert not is_shown("WARNING Slow Disk", "fast", Level.ALL)
    assert not is_shown("INFO slow disk", "slow", Level.WARNING)


@given(st.text(max_size=300), st.integers(min_value=20, max_value=80))
def test_a_wrapped_line_has_every_character(line: str, width: int) -> None:
    first, *rest = wrapped(line, width)
    assert first + "".join(part[4:] for part in rest) == line
    assert all(len(part) <= width for part in (first, *rest))
