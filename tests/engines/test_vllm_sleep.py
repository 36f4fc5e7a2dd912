"""vLLM's sleep mode over its socket: told, asked, and understood when it goes wrong."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from hydra_box.engines import vllm_sleep
from hydra_box.engines.vllm_progress import progress
from hydra_box.engines.vllm_sleep import VllmSleep
from hydra_box.errors import EngineError
from tests.gateway.harness import FakeEngine, cut

Answers = Callable[..., AbstractAsyncContextManager[FakeEngine]]


@pytest.fixture
def engine(short_directory: Path) -> Answers:
    """``engine(told=200, says="...")``: what it answers when told, and to the question after it."""
    path = Path(tempfile.mkdtemp(dir=short_directory)) / "engine.sock"

    @asynccontextmanager
    async def serve(*, told: int = 200, says: str) -> AsyncIterator[FakeEngine]:
        async def answer(request: web.Request) -> web.StreamResponse:
            if request.path == "/is_sleeping":
                return web.Response(text=says)
            if told == 0:
                cut(request)
            return web.Response(status=told)

        async with FakeEngine(path, answer).serve() as running:
            yield running

    return serve


async def test_asleep_and_awake_again(engine: Answers) -> None:
    async with engine(says='{"is_sleeping": true}') as one:
        await VllmSleep().sleep(one.socket_path)
    async with engine(says='{"is_sleeping": false}') as one:
        await VllmSleep().wake(one.socket_path)


async def test_whether_it_sleeps_is_asked(engine: Answers) -> None:
    for says, sleeps in (('{"is_sleeping": true}', True), ('{"is_sleeping": false}', False)):
        async with engine(told=500, says=says) as one:
            assert await VllmSleep().sleeps(one.socket_path) is sleeps
    async with engine(says="no JSON") as one:
        with pytest.raises(EngineError, match="is not understood"):
            await VllmSleep().sleeps(one.socket_path)


@pytest.mark.parametrize(
    ("told", "says", "words"),
    [
        (200, '{"is_sleeping": false}', r"was told /sleep\?level=1, and is awake"),
        (500, '{"is_sleeping": true}', r"answered 500 when told /sleep\?level=1"),
        # Its process was not started in the mode that has these calls.
        (404, "", "answered 404"),
        (0, "", "does not answer when told"),
        (200, "no JSON", "what the engine says of its sleep is not understood"),
    ],
)
async def test_a_sleep_that_fails_is_told(
    engine: Answers, told: int, says: str, words: str
) -> None:
    async with engine(told=told, says=says) as one:
        with pytest.raises(EngineError, match=words):
            await VllmSleep().sleep(one.socket_path)


async def test_a_wake_that_fails_is_told(engine: Answers) -> None:
    async with engine(says='{"is_sleeping": true}') as one:
        with pytest.raises(EngineError, match="was told /wake_up, and sleeps"):
            await VllmSleep().wake(one.socket_path)


async def test_one_that_is_gone_or_hangs_is_told(
    engine: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="does not answer"):
        await VllmSleep().sleep(tmp_path / "nobody.sock")
    monkeypatch.setattr(vllm_sleep, "LONGEST_NAP_CALL_SECONDS", 1e-6)
    async with engine(says='{"is_sleeping": true}') as one:
        with pytest.raises(EngineError, match="does not answer"):
            await VllmSleep().sleep(one.socket_path)


def test_what_it_does_while_it_wakes_is_read_from_its_log() -> None:
    started = "INFO Application startup complete.\nINFO It took 1.200000 seconds to fall asleep.\n"
    waking = f"{started}INFO wake up the engine with tags: None\n"
    assert progress(waking) == "taking its weights back from the RAM"
    awake = f"{waking}INFO It took 0.400000 seconds to wake up tags {{'weights', 'kv_cache'}}.\n"
    assert progress(awake) == "asking for a first token"
