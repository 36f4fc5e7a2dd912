from __future__ import annotations

import pytest

from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_home_shows_the_machine_and_every_service(
    open_console: OpenConsole, size: tuple[int, int]
) -> None:
    async with open_console(size=size) as it:
        text = await it.sees("demo", "● RUNNING", "CPU and RAM", "1/1", "predicted)")
    assert "needs attention" not in text
