from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from hydra_box.types import Scope
from tests.conftest import DemoBox, StartBox
from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL, Driven, console
from tests.tui.test_keys import ask, click, connect_to, find
from tui.screens.usage import UsageScreen
from tui.widgets.bar_chart import BarChart
from tui.widgets.usage_table import UsageTable, row_key

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE])


async def open_usage(it: Driven) -> None:
    await it.sees("demo", "RUNNING")
    await it.press("4")
    await it.sees("● model", "OF TOKENS", "all models")


def used(box: DemoBox, name: str, requests: int) -> int:
    """Tokens of so many requests with a key of that name."""
    key = box.running.key(name, Scope.INFERENCE)
    answers = [ask(box, key).json() for _ in range(requests)]
    return sum(int(answer["usage"]["total_tokens"]) for answer in answers)


@BOTH
async def test_usage_shows_what_was_used(
    open_console: OpenConsole, box: DemoBox, size: tuple[int, int]
) -> None:
    name = f"counted{size[0]}"
    tokens = used(box, name, 2)
    async with open_console(size=size) as it:
        await open_usage(it)
        today = f"{datetime.now().astimezone():%a %-d}"
        await it.sees(box.service.access_name[:14], "tokens per day", "highest", "0└", today)
        await it.press("k")
        await it.sees("● key", "all keys, tokens per day")
        table, key_id = it.screen.query_one(UsageTable), find(box, name).id
        for _ in range(table.row_count):
            if table.current_id != key_id:
                await it.press("down")
        await it.sees(f"{name}, tokens per day  highest: {tokens:,}")
        await it.press("t")
        await it.sees(f"{name}, requests per day  highest: 2", "● requests")
        for key, span in (("h", "hour"), ("w", "week"), ("M", "month")):
            await it.press(key)
            await it.sees(f"{name}, requests per {span}  highest: 2", f"● {span}")
        await it.press("left")
        await it.sees("● week", "requests per week")
        for key, by in (("u", "user"), ("s", "service"), ("m", "model")):
            await it.press(key)
            await it.sees(f"● {by}", f"all {by}s, requests per week")
        await click(it, "○ hour")
        await it.sees("requests per hour", "● hour")


async def test_the_screen_comes_back_as_it_was_left(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await open_usage(it)
        await it.press("k", "M")
        await it.sees("● key", "● month")
    async with open_console() as it:
        await it.press("4")
        await it.sees("● key", "● month", "all keys, tokens per month")


async def test_usage_follows_while_it_is_on_top(
    open_console: OpenConsole, box: DemoBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UsageScreen, "REFRESH_SECONDS", 0.2)
    async with open_console() as it:
        await open_usage(it)
        await it.press("k")
        await it.sees("all keys")
        used(box, "latecomer", 1)
        table, key_id = it.screen.query_one(UsageTable), find(box, "latecomer").id
        await it.until(lambda: row_key(key_id) in table.rows, what="the new key has a row")


async def test_a_key_leads_to_its_usage(open_console: OpenConsole, box: DemoBox) -> None:
    tokens = used(box, "aaa-led", 1)
    async with open_console() as it:
        await it.press("3")
        await it.sees("valid key")
        await it.press("slash")
        await it.type("aaa-led")
        await it.sees("the filter leaves 1 of")
        await it.press("enter", "u")
        await it.sees("● key", f"aaa-led, tokens per day  highest: {tokens:,}")


async def test_without_usage_it_says_how_to_call(start_box: StartBox, tmp_path: Path) -> None:
    async with console(connect_to(start_box()), tmp_path) as it:
        await it.press("4")
        await it.sees("Nothing was called in the last 14 days", "1 and then d deploys one")
        await it.press("h")
        await it.sees("Nothing was called in the last 48 hours")
        assert not it.screen.query_one(BarChart).display
