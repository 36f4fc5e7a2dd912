"""Clients that never stop asking, and what became of each of their requests."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import aiohttp

from tests.waiting import eventually

PAUSE_SECONDS = 0.02
"""Of a client between two requests: the box is busy, and the machine still has some room."""
LONG_PAUSE_SECONDS = 0.1
"""Of one whose request got no answer."""
REQUEST_SECONDS = 120.0
"""An answer that takes longer counts as one that never comes."""
ANSWER_TOKENS = 24


class Fate(StrEnum):
    """What became of a request."""

    OK = "ok"
    SENT_AWAY = "sent away"
    """Answered 503 with ``Retry-After`` before any of its answer."""
    FAILED = "failed"
    """Answered with another error before any of its answer, or with nothing in it."""
    UNREACHED = "unreached"
    """Its connection was refused, or broke before any of its answer."""
    BROKEN = "broken"
    """Its answer had begun, and did not come to its end."""


@dataclass
class Request:
    """One request; times are monotonic seconds."""

    began_at: float
    fate: Fate = Fate.UNREACHED
    first_at: float | None = None
    """When the first of its answer came."""
    ended_at: float = 0.0
    detail: str = ""
    id: str = ""
    tokens: tuple[int, int] | None = None
    """Prompt and completion, as its whole answer says."""


@dataclass
class Tally:
    """How many requests had which fate."""

    requests: list[Request] = field(default_factory=list)

    def count(self, *fates: Fate) -> int:
        """How many had one of these fates."""
        return sum(one.fate in fates for one in self.requests)

    def details(self, *fates: Fate) -> set[str]:
        """What their clients were told."""
        return {one.detail for one in self.requests if one.fate in fates}


class Load:
    """A few clients in a thread of their own, each with one request after the other.

    Every other request is streamed, and each has a connection of its own: a kept one that its
    server closes in the moment of a request is the client's to send again.
    """

    def __init__(self, url: str, model: str, key: str, *, clients: int = 4) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._model = model
        self._headers = {"Authorization": f"Bearer {key}"}
        self._clients = clients
        self._lock = threading.Lock()
        self._over: list[Request] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")

    def __enter__(self) -> Self:
        """Start, and return when answers come."""
        self._thread.start()
        self.wait_answered(self._clients)
        return self

    def __exit__(self, *_: object) -> None:
        """Let the last requests end."""
        self._stop.set()
        self._thread.join()

    def tally(self) -> Tally:
        """What became of the requests that are over."""
        with self._lock:
            return Tally(list(self._over))

    def wait_answered(self, count: int = 1, *, after: float | None = None) -> Request:
        """The first of so many good answers that were asked for after a moment."""
        moment = time.monotonic() if after is None else after

        def answered() -> list[Request]:
            good = [one for one in self._since(moment) if one.fate is Fate.OK]
            return good if len(good) >= count else []

        good = eventually(answered, 120, what="the clients have answers")
        return min(good, key=lambda one: one.first_at or one.ended_at)

    def _since(self, moment: float) -> list[Request]:
        """Those that began at that moment or later, and are over."""
        with self._lock:
            # They lie in the order of their ends, and there are many after half an hour.
            late = itertools.takewhile(lambda one: one.ended_at >= moment, reversed(self._over))
            return [one for one in late if one.began_at >= moment]

    async def _run(self) -> None:
        limit = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(
            connector=connector, timeout=limit, headers=self._headers, trust_env=False
        ) as session:
            await asyncio.gather(*(self._ask_on(session, at) for at in range(self._clients)))

    async def _ask_on(self, session: aiohttp.ClientSession, number: int) -> None:
        turn = number
        while not self._stop.is_set():
            request = Request(began_at=time.monotonic())
            try:
                await self._ask(session, request, stream=bool(turn % 2))
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                begun = request.first_at is not None
                request.fate = Fate.BROKEN if begun else Fate.UNREACHED
                request.detail = f"{type(error).__name__}: {error}"
            request.ended_at = time.monotonic()
            with self._lock:
                self._over.append(request)
            turn += 1
            well = request.fate is Fate.OK
            await asyncio.sleep(PAUSE_SECONDS if well else LONG_PAUSE_SECONDS)

    async def _ask(self, session: aiohttp.ClientSession, request: Request, *, stream: bool) -> None:
        body: dict[str, Any] = {
            "model": self._model,
            "max_tokens": ANSWER_TOKENS,
            "ignore_eos": True,
            "messages": [{"role": "user", "content": "Tell me a story."}],
            "stream": stream,
        }
        if stream:
            body["stream_options"] = {"include_usage": True}
        async with session.post(self._url, json=body) as answer:
            request.id = answer.headers.get("x-request-id", "")
            if answer.status != 200:
                away = answer.status == 503 and "Retry-After" in answer.headers
                request.fate = Fate.SENT_AWAY if away else Fate.FAILED
                request.detail = f"{answer.status} {await answer.text()}"
            elif stream:
                await _read_stream(answer, request)
            else:
                request.first_at = time.monotonic()
                _take(request, (await answer.json())["usage"])


async def _read_stream(answer: aiohttp.ClientResponse, request: Request) -> None:
    """Read a stream to its end, which only ``[DONE]`` is."""
    usage: dict[str, int] | None = None
    async for data in _events(answer):
        if data == b"[DONE]":
            assert usage is not None
            _take(request, usage)
            return
        event = json.loads(data)
        if "error" in event:
            request.fate = Fate.FAILED if request.first_at is None else Fate.BROKEN
            request.detail = data.decode()
            return
        request.first_at = request.first_at or time.monotonic()
        usage = event.get("usage") or usage
    request.fate = Fate.FAILED if request.first_at is None else Fate.BROKEN
    request.detail = "the stream ended without [DONE]"


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for line in answer.content:
        if line.startswith(b"data: "):
            yield line.removeprefix(b"data: ").strip()


def _take(request: Request, usage: dict[str, int]) -> None:
    request.fate = Fate.OK
    request.tokens = (usage["prompt_tokens"], usage["completion_tokens"])
