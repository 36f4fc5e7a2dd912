"""How an engine is asked over its UNIX socket: its health, a first request, its counters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from hydra_box.errors import EngineError
from hydra_box.types import Frozen

HEALTH_TIMEOUT_SECONDS = 5.0
FIRST_TOKEN_TIMEOUT_SECONDS = 120.0
"""Long, because the first token of a model that is larger than the memory reads it from disk."""
COUNTERS_TIMEOUT_SECONDS = 5.0


class Answered(Frozen, frozen=True, kw_only=True):
    """What an engine answered."""

    status: int
    body: bytes


class _FirstAnswer(msgspec.Struct):
    """A completion has choices, an embedding has data."""

    model: str
    choices: list[msgspec.Raw] = []
    data: list[msgspec.Raw] = []


NO_ANSWER = (TimeoutError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)
"""What is raised when an engine does not listen yet, is busy, or ended, be it amid its answer."""


@asynccontextmanager
async def engine_at(socket_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A session whose every request goes to the engine at ``socket_path``.

    Raises:
        EngineError: its answers are no HTTP.

    """
    connector = aiohttp.UnixConnector(path=str(socket_path))
    async with aiohttp.ClientSession("http://engine", connector=connector) as session:
        try:
            yield session
        except aiohttp.ClientResponseError as error:
            words = " ".join(error.message.split())
            raise EngineError(f"what the engine answers is no HTTP: {words}") from error


async def is_healthy(session: aiohttp.ClientSession) -> bool:
    """Whether its health page says so; False while it is loading.

    Raises:
        EngineError: it has no such page.

    """
    timeout = aiohttp.ClientTimeout(total=HEALTH_TIMEOUT_SECONDS)
    async with session.get("/health", timeout=timeout) as response:
        if response.status not in (200, 503):
            raise EngineError(f"the engine answered {response.status} when asked for its health")
        return response.status == 200


async def post(
    session: aiohttp.ClientSession, path: str, request: Mapping[str, str | int]
) -> Answered:
    """Ask something that makes the engine work."""
    timeout = aiohttp.ClientTimeout(total=FIRST_TOKEN_TIMEOUT_SECONDS)
    async with session.post(path, json=request, timeout=timeout) as response:
        return Answered(status=response.status, body=await response.read())


def check_first_answer(body: bytes, access_name: str) -> None:
    """See whether the first answer is one, and of the right model.

    Raises:
        EngineError: it is not.

    """
    try:
        answer = msgspec.json.decode(body, type=_FirstAnswer)
    except msgspec.DecodeError as error:
        raise EngineError(f"the engine's first answer is not understood: {error}") from error
    if not answer.choices and not answer.data:
        raise EngineError("the engine's first answer is empty")
    if answer.model != access_name:
        raise EngineError(f"the engine serves {answer.model!r}, not {access_name!r}")


async def read(
    socket_path: Path, path: str, within_seconds: float = COUNTERS_TIMEOUT_SECONDS
) -> bytes:
    """A page of the engine.

    Raises:
        EngineError: it does not answer, or not with this page.

    """
    timeout = aiohttp.ClientTimeout(total=within_seconds)
    try:
        async with (
            engine_at(socket_path) as session,
            session.get(path, timeout=timeout) as response,
        ):
            if response.status != 200:
                raise EngineError(f"the engine answered {response.status} when asked for {path}")
            return await response.read()
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise EngineError(f"the engine does not answer when asked for {path}") from error
