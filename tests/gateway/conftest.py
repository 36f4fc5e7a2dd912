"""A running gateway for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from hydra_box.config import Settings
from tests.gateway.harness import Gateway, run_gateway


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The daemon's event loop, which differs from asyncio's own where sockets fail."""
    return {"uvloop": uvloop.new_event_loop}


StartGateway = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def start_gateway(home: Path) -> StartGateway:
    """Makes a gateway with other settings: ``async with start_gateway(queue_limit=1)``."""
    home.mkdir()

    def start(**settings: Any) -> AbstractAsyncContextManager[Gateway]:
        return run_gateway(home, Settings(**settings))

    return start


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> AsyncIterator[Gateway]:
    """A gateway with the ordinary settings."""
    async with start_gateway() as running:
        yield running
