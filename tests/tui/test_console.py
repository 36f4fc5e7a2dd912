from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.client import Client
from tests.conftest import DemoBox
from tests.tui.conftest import OpenConsole
from tests.tui.harness import SMALL, console
from tests.tui.still_box import StillBox
from tui.palette import CONTRAST, DARK, LIGHT


async def test_every_section_has_its_number(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await it.sees("● RUNNING")
        for key, mode in zip(
            "234561", ("models", "keys", "usage", "engines", "logs", "services"), strict=True
        ):
            await it.press(key)
            await it.until(
                lambda mode=mode: it.console.current_mode == mode,  # type: ignore[misc]
                what=f"{key} leads to {mode}",
            )
        await it.sees("● RUNNING")


async def test_a_section_is_as_it_was_left(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await it.sees("● RUNNING")
        await it.press("enter")
        await it.sees("Basic information")
        await it.press("3")
        await it.sees("New key")
        await it.press("1")
        await it.sees("Basic information")


async def test_the_palette_leads_to_sections_and_services(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await it.sees("● RUNNING")
        await it.press("ctrl+p")
        await it.type("service demo")
        await it.sees("Open u-")
        await it.press("down", "enter")
        await it.sees("Model service name  demo")


async def test_a_theme_is_kept_for_the_next_time(tmp_path: Path) -> None:
    async with console(StillBox, tmp_path) as it:
        assert it.console.theme == DARK.name
        await it.press("ctrl+t")
        assert it.console.theme == LIGHT.name
        await it.press("ctrl+t")
        assert it.console.theme == CONTRAST.name
    async with console(StillBox, tmp_path) as it:
        assert it.console.theme == CONTRAST.name


async def test_a_theme_that_is_no_more_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "theme.json").write_text('"gone"')
    async with console(StillBox, tmp_path) as it:
        assert it.console.theme == DARK.name


async def test_attention_leads_to_its_cause(tmp_path: Path) -> None:
    async with console(StillBox, tmp_path) as it:
        await it.sees("1 needs attention (press !)", "draft is FAILED")
        await it.press("exclamation_mark")
        await it.sees("Model service name  draft", "hint: 4,096 tokens of context would fit")


async def test_the_mouse_works_too(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await it.sees("● RUNNING")
        await it.pilot.click("#services", offset=(3, 1))
        await it.sees("Basic information")
        await it.pilot.click("Tab#charts")
        await it.sees("1 h ago")


@pytest.mark.parametrize(("key", "why"), [("wrong", "API key"), (None, "asks for an admin key")])
async def test_a_box_that_lets_nobody_in_says_so(
    box: DemoBox, tmp_path: Path, key: str | None, why: str
) -> None:
    def connect() -> Client:
        return Client(url=box.url, api_key=key)

    async with console(connect, tmp_path, size=SMALL) as it:
        await it.sees(why, "hint")


async def test_over_the_network_with_an_admin_key(box: DemoBox, tmp_path: Path) -> None:
    def connect() -> Client:
        return Client(url=box.url, api_key=box.admin_key)

    async with console(connect, tmp_path) as it:
        await it.sees("demo", "● RUNNING")
