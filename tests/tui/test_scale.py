from __future__ import annotations

from collections.abc import Iterator

import pytest

from hydra_box.messages import DeployRequest
from tests.conftest import DemoBox
from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL, Driven
from tests.waiting import eventually

NAME = "scaled"


@pytest.fixture
def scaled(box: DemoBox) -> Iterator[str]:
    box.running.deploy(DeployRequest(model="demo", name=NAME, device="cpu"))
    yield NAME
    if any(view.name == NAME for view in box.running.client.services()):
        box.running.client.delete(NAME, NAME)
    eventually(
        lambda: all(view.name != NAME for view in box.running.client.services()),
        what="the service is gone",
    )


async def select(it: Driven, name: str) -> None:
    await it.sees(name)
    await it.press("slash")
    await it.type(name)
    await it.press("enter")


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_scale_to_two_with_the_plan_of_the_new_one(
    open_console: OpenConsole, box: DemoBox, scaled: str, size: tuple[int, int]
) -> None:
    async with open_console(size=size) as it:
        await select(it, scaled)
        await it.press("s")
        await it.sees("● fits: 1 instance more", "the most that fit now is", "1. CPU")
        await it.press("enter")
        await it.sees("2/2")
    assert box.running.client.service(scaled).desired_instances == 2


async def test_what_cannot_be_placed_cannot_be_confirmed(
    open_console: OpenConsole, box: DemoBox, scaled: str
) -> None:
    async with open_console() as it:
        await select(it, scaled)
        await it.press("s")
        await it.sees("● fits")
        await it.type("1000")
        await it.sees("1001 instances are not possible", "hint: ask for 1 to")
        await it.press("enter")
        await it.sees("not possible")
        assert box.running.client.service(scaled).desired_instances == 1
        await it.press("down")
        await it.press("escape")
        await it.sees("BASE MODEL")


async def test_the_largest_number_and_the_target_field(
    open_console: OpenConsole, scaled: str
) -> None:
    async with open_console() as it:
        await select(it, scaled)
        await it.press("s")
        await it.sees("the most that fit now is")
        await it.press("m")
        await it.until(
            lambda: f"{it.screen._plan.most_instances - 1} instances more" in it.text,  # type: ignore[attr-defined]
            what="the most that fit is planned",
        )
        await it.press("tab")
        await it.press("end", *["backspace"] * 4)
        await it.type("1")
        await it.sees("= nothing changes")
        await it.press("enter")
        await it.sees("nothing would change")


async def test_delete_needs_the_name(open_console: OpenConsole, box: DemoBox, scaled: str) -> None:
    async with open_console() as it:
        await select(it, scaled)
        await it.press("x")
        await it.sees(f"Delete {scaled}", "stops answering for good")
        await it.type("scalex")
        await it.sees(f"the service is called {scaled}")
        await it.press("enter")
        await it.sees("is not its name")
        await it.press("backspace")
        await it.type("d")
        await it.press("enter")
        await it.until(
            lambda: all(view.name != scaled for view in it.console.session.state.services.values()),
            what="the service is gone from the screen",
        )


async def test_escape_keeps_it(open_console: OpenConsole, box: DemoBox, scaled: str) -> None:
    async with open_console() as it:
        await select(it, scaled)
        await it.press("delete")
        await it.type(scaled)
        await it.press("escape")
        await it.sees("BASE MODEL")
    assert box.running.client.service(scaled).status == "RUNNING"
