"""What would leave a service unserved for a while is asked first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_box.client import Client
from tests.e2e.rollouts import pids
from tests.e2e.tight import OneGpu, one_gpu_box
from tests.tui.harness import console
from tests.tui.test_edit import retype
from tui.screens.edit import EditScreen
from tui.screens.home import HomeScreen
from tui.screens.models_confirm import ConfirmDialog


@pytest.fixture
def one_gpu(home: Path, tmp_path: Path) -> Iterator[OneGpu]:
    with one_gpu_box(home, tmp_path) as made:
        yield made


async def test_an_edit_that_needs_downtime_asks(one_gpu: OneGpu, tmp_path: Path) -> None:
    box = one_gpu.box
    before = await asyncio.to_thread(one_gpu.deploy, 1)

    def connect() -> Client:
        return Client(socket=box.paths.management_socket)

    with one_gpu.fill(before):
        async with console(connect, tmp_path / "console") as it:
            await it.sees("tight", "RUNNING")
            it.console.push_screen(EditScreen(before.id))
            await it.sees("Edit tight", "512 tokens")
            await retype(it, "256")
            await it.sees("its instance ends before its successor starts", "F5")
            await it.press("f5")
            await it.until(lambda: isinstance(it.screen, ConfirmDialog), what="it asks")
            await it.sees("tight would be away for a while", "y: edit it")
            # Left as it is, nothing has happened.
            await it.press("escape")
            await it.until(lambda: isinstance(it.screen, EditScreen), what="back at the form")
            assert box.client.service("tight").context_length == 512
            await it.press("f5")
            await it.until(lambda: isinstance(it.screen, ConfirmDialog), what="it asks again")
            await it.press("y")
            await it.until(lambda: isinstance(it.screen, HomeScreen), what="edited and left")
        after = await asyncio.to_thread(box.wait_running, "tight")
    assert after.context_length == 256
    assert not pids(before) & pids(after)
