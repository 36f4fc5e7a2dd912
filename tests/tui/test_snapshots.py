"""A picture of every screen, in both sizes; ``pytest --snapshot-update`` takes them anew."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from hydra_box.cli.console import Way
from hydra_box.client import Client
from tests.tui import still_life
from tests.tui.harness import LARGE, SMALL
from tests.tui.still_box import StillBox
from tui.console import Console
from tui.notebook import Notebook
from tui.palette import CONTRAST, LIGHT
from tui.screens.deployment import DeploymentScreen
from tui.widgets.log_view import LogView

_OUTSIDE = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""A picture needs nothing from elsewhere: any monospaced font will do."""

SCREENS: dict[str, Sequence[str]] = {
    "home": (),
    "home-filtered": ("slash", "c", "o", "d", "enter"),
    "help": ("question_mark",),
    "attention": ("exclamation_mark",),
    "deploy": ("d",),
    "deploy-plan": ("d", "enter"),
    "deploy-refused": ("d", "G", "enter"),
    "service": ("enter",),
    "service-calls": ("enter", "right"),
    "service-charts": ("enter", "right", "right"),
    "service-events": ("enter", "right", "right", "right"),
    "service-logs": ("enter", "left"),
    "service-upstreams": ("slash", "r", "1", "enter", "enter"),
    "service-asleep": ("slash", "a", "s", "l", "e", "e", "p", "enter", "enter"),
    "scale": ("s",),
    "edit": ("e",),
    "delete": ("x", "c", "h", "o"),
    "trial": ("t", "h", "i"),
    "trial-compare": ("t", "ctrl+g"),
    "trial-settings": ("t", "ctrl+o"),
    "trial-curl": ("t", "h", "i", "f2"),
    "models": ("2",),
    "models-pull": ("2", "p"),
    "models-import": ("2", "i"),
    "keys": ("3",),
    "keys-new": ("3", "n"),
    "keys-edit": ("3", "e"),
    "keys-rotate": ("3", "o"),
    "keys-revoke": ("3", "x"),
    "users": ("3", "U"),
    "users-new": ("3", "U", "n"),
    "usage": ("4",),
    "usage-by-key": ("4", "k"),
    "engines": ("5",),
    "engines-install": ("5", "i"),
    "logs": ("6",),
}


class Picture(SingleFileSnapshotExtension):
    """One SVG file a picture."""

    file_extension = "svg"
    _write_mode = WriteMode.TEXT


@pytest.fixture
def picture(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(Picture)


@pytest.fixture(autouse=True)
def one_time_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def still(directory: Path, **options: Any) -> Console:
    app = Console(
        lambda: StillBox(**options),
        notebook=Notebook(directory),
        clock=lambda: still_life.NOW,
    )
    app.animation_level = "none"
    return app


def after(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    async def press(pilot: Pilot[None]) -> None:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)

    return press


ENDLESS = ("feed", "log")


async def settle(pilot: Pilot[None]) -> None:
    """Until nothing is under way, and what never ends has told all that there is."""
    async with asyncio.timeout(90):
        while True:
            await pilot.pause(0.05)
            workers = [one for one in pilot.app.workers if not one.is_finished]
            if {one.group for one in workers} <= {*ENDLESS} and has_told_all(pilot.app):
                break
    if isinstance(focused := pilot.app.focused, Input | TextArea):
        # A cursor that blinks is there in one picture, and not in the next.
        focused.cursor_blink = False
    await pilot.pause(0.1)


def has_told_all(app: App[None]) -> bool:
    """Whether the feed, and the log if one is followed, have come to where time stands still."""
    assert isinstance(app, Console)
    state = app.session.state
    fed = state.updated_at == still_life.NOW and state.machine is not None
    follows = any(one.group == "log" and not one.is_finished for one in app.workers)
    logs = app.screen.query(LogView) if follows else ()
    return (fed or state.lost_because is not None) and all(
        len(one._kept) >= len(still_life.LOG) for one in logs
    )


async def taken(app: Console, size: tuple[int, int], *keys: str) -> str:
    """The screen after some keys."""
    async with app.run_test(size=size) as pilot:
        await after(*keys)(pilot)
        return _OUTSIDE.sub("", app.export_screenshot(title="Hydra Box"))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x40"])
@pytest.mark.parametrize("name", SCREENS)
async def test_screen(
    picture: SnapshotAssertion, tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    assert await taken(still(tmp_path), size, *SCREENS[name]) == picture


@pytest.mark.parametrize("theme", [LIGHT.name, CONTRAST.name, "textual-ansi"])
async def test_theme(picture: SnapshotAssertion, tmp_path: Path, theme: str) -> None:
    Notebook(tmp_path).keep("theme", theme)
    assert await taken(still(tmp_path), SMALL) == picture


async def test_two_hundred_services_on_a_very_wide_screen(
    picture: SnapshotAssertion, tmp_path: Path
) -> None:
    assert await taken(still(tmp_path, services=200), (220, 50), "G") == picture


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x40"])
@pytest.mark.parametrize("service", ["svc-eyes", "svc-draft", "svc-chat", "svc-siesta"])
async def test_deployment(
    picture: SnapshotAssertion, tmp_path: Path, service: str, size: tuple[int, int]
) -> None:
    app = still(tmp_path)
    async with app.run_test(size=size) as pilot:
        await after()(pilot)
        app.push_screen(DeploymentScreen(service))
        await settle(pilot)
        assert _OUTSIDE.sub("", app.export_screenshot(title="Hydra Box")) == picture


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x40"])
async def test_no_daemon(picture: SnapshotAssertion, size: tuple[int, int]) -> None:
    ways = [
        Way(key="b", title="in the background", detail="goes on afterwards", start=lambda: None),
        Way(key="c", title="as long as the console is open", detail="and no longer", start=list),
    ]
    app = Console(
        lambda: Client(socket=Path("/nobody/listens/here")),
        notebook=Notebook(Path(tempfile.gettempdir()) / "hydra-box-no-notebook"),
        clock=lambda: still_life.NOW,
        start_ways=ways,
    )
    assert await taken(app, size) == picture
