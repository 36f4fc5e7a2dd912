from __future__ import annotations

import asyncio
from pathlib import Path

from textual.widgets import Input

from hydra_box.cli.console import Way
from hydra_box.client import Client
from hydra_box.errors import StateError
from hydra_box.messages import DeployRequest
from tests.conftest import StartBox
from tests.tui.harness import console


async def test_a_restart_is_told_and_survived_and_no_text_is_lost(
    start_box: StartBox, tmp_path: Path
) -> None:
    first = await asyncio.to_thread(start_box)
    await asyncio.to_thread(first.deploy, DeployRequest(model="demo", name="demo", device="cpu"))
    socket = first.paths.management_socket
    async with console(lambda: Client(socket=socket), tmp_path / "console") as it:
        await it.sees("● RUNNING")
        await it.press("x")
        await it.type("dem")
        await asyncio.to_thread(first.stop)
        await it.sees("✗ lost")
        assert it.screen.query_one(Input).value == "dem"
        await it.press("escape")
        await it.sees("this is how it was", "Tried again every second", "demo")
        await asyncio.to_thread(start_box)
        await it.sees("● :", "● RUNNING")
        assert "lost" not in it.text


async def test_a_daemon_is_started_from_the_console(
    start_box: StartBox, home: Path, tmp_path: Path
) -> None:
    tries: list[str] = []

    def fail() -> None:
        tries.append("failed")
        raise StateError("the port 4937 is taken", hint="stop what listens there")

    def start() -> None:
        tries.append("started")
        start_box()

    ways = [
        Way(key="f", title="a way that fails", detail="of course", start=fail),
        Way(key="b", title="in the background", detail="goes on", start=start),
    ]
    socket = home / "run" / "daemon.sock"
    opened = console(lambda: Client(socket=socket), tmp_path / "console", start_ways=ways)
    async with opened as it:
        await it.sees("No daemon runs", "in the background", "goes on")
        await it.press("f")
        await it.sees("the port 4937 is taken", "hint: stop what listens there")
        await it.press("j", "enter")
        await it.sees("● :", "No services yet", "Press d to deploy")
    assert tries == ["failed", "started"]
