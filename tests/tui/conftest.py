"""Consoles on the box that tests share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from hydra_box.client import Client
from tests.conftest import DemoBox
from tests.tui.harness import Driven, console

OpenConsole = Callable[..., AbstractAsyncContextManager[Driven]]
"""``open_console(size=...)``: a console on the shared box."""


@pytest.fixture
def open_console(box: DemoBox, tmp_path: Path) -> OpenConsole:
    """Opens consoles on the shared box, over its UNIX socket."""

    def connect() -> Client:
        return Client(socket=box.running.paths.management_socket)

    def open_one(**options: Any) -> AbstractAsyncContextManager[Driven]:
        return console(connect, tmp_path / "console", **options)

    return open_one
