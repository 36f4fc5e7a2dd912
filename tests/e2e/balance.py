"""Clients that count what they get, and the engines' own counts, for the balance of the books."""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from hydra_box.process import START_MARK

PROMPTS = (
    "Hello!",
    "Tell me a long story.",
    "What is Hydra Box?",
    "How many GPUs do I need to serve a model to ten people at once?",
    "Good morning. Please say something kind, then something about the weather.",
)
LONGEST_ANSWER_TOKENS = 160
ANSWER_TOKENS = {"whole": (2, 24), "stream": (2, 24), "left": (100, LONGEST_ANSWER_TOKENS)}

_TIMING = re.compile(r"task (\d+) \|\s+(prompt eval|eval) time = .* /\s+(\d+) tokens")
_CACHED = re.compile(r"task (\d+) \| cached n_tokens = (\d+)")
_RELEASE = re.compile(r"release: id\s+\d+ \| task (\d+) \| stop processing: n_tokens = (\d+)")


@dataclass(frozen=True)
class Count:
    """Tokens, as somebody counted them."""

    prompt: int = 0
    completion: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.prompt + other.prompt, self.completion + other.completion)

    def __sub__(self, other: Count) -> Count:
        return Count(self.prompt - other.prompt, self.completion - other.completion)


@dataclass(frozen=True)
class Asked:
    """One request, as its client saw it."""

    key: str
    """Its name."""
    request_id: str | None
    """None: it got no answer's head."""
    status: int | None
    delivered: bool
    """The answer was read to its end, and was one."""
    left: bool
    """The client left on purpose."""
    count: Count
    """As the answer tells it."""
    events: int
    """Pieces of text that a stream had brought when it ended."""


@dataclass(frozen=True)
class Customer:
    """One key, and what it will ask."""

    name: str
    secret: str


async def ask(
    http: aiohttp.ClientSession, url: str, model: str, customer: Customer, dice: random.Random
) -> Asked:
    """One request; two in five are streams that are read to the end, one in five is left early."""
    kind = dice.choices(("whole", "stream", "left"), (2, 2, 1))[0]
    leave_after = dice.randrange(1, 8) if kind == "left" else None
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": dice.randrange(*ANSWER_TOKENS[kind]),
        "messages": [{"role": "user", "content": dice.choice(PROMPTS)}],
    }
    if kind != "whole":
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    headers = {"Authorization": f"Bearer {customer.secret}"}
    request_id, status, count, events = None, None, Count(), 0
    try:
        async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as response:
            request_id, status = response.headers.get("x-request-id"), response.status
            if kind == "whole" or status != 200:
                answer = await response.json()
                delivered = status == 200
                count = _count(answer["usage"]) if delivered else Count()
                return Asked(customer.name, request_id, status, delivered, False, count, 0)
            done = False
            async for line in response.content:
                done = done or line.strip() == b"data: [DONE]"
                events += b'"content":"' in line
                if b'"usage":{' in line:
                    count = _count(json.loads(line[5:])["usage"])
                if leave_after is not None and events >= leave_after and not done:
                    response.close()
                    return Asked(customer.name, request_id, status, False, True, Count(), events)
            return Asked(customer.name, request_id, status, done, False, count, events)
    except (aiohttp.ClientError, OSError):
        return Asked(customer.name, request_id, status, False, False, count, events)


def _count(usage: dict[str, Any]) -> Count:
    return Count(usage["prompt_tokens"], usage["completion_tokens"])


async def load(
    url: str, model: str, customers: Sequence[Customer], each: int, *, at_once: int, seed: int
) -> list[Asked]:
    """``each`` requests of every customer, so many at once of each."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=120),
        trust_env=False,
    ) as http:

        async def work(customer: Customer, worker: int) -> list[Asked]:
            dice = random.Random(f"{seed} {customer.name} {worker}")
            share = each // at_once + (worker < each % at_once)
            return [await ask(http, url, model, customer, dice) for _ in range(share)]

        parts = await asyncio.gather(
            *(work(customer, worker) for customer in customers for worker in range(at_once))
        )
    return [one for part in parts for one in part]


# --- the engines' side ---------------------------------------------------------------------------


def counters(engine_socket: Path) -> Count:
    """What an engine's own counters say since it was started."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(engine_socket))) as http:
        text = http.get("http://engine/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("llamacpp:"))
    return Count(
        prompt=int(float(values["llamacpp:prompt_tokens_total"]))
        + int(float(values["llamacpp:prompt_tokens_cached_total"])),
        completion=int(float(values["llamacpp:tokens_predicted_total"])),
    )


def is_idle(engine_socket: Path) -> bool:
    """Whether no slot of an engine is at work."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(engine_socket))) as http:
        return not any(slot["is_processing"] for slot in http.get("http://engine/slots").json())


def answers(engine_socket: Path) -> bool:
    """Whether an engine listens at all."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(engine_socket)) == 0


@dataclass(frozen=True)
class Logged:
    """What an engine printed of the requests that it worked on."""

    finished: Count
    """Of those that it brought to their end, which are those that its counters have."""
    aborted_tokens: int
    """Tokens that it held of those that were broken off: of the prompt and of the answer."""
    aborted: int


def logged(log: str) -> Logged:
    """The counts in an engine's log, of all the processes that wrote it."""
    every = [_logged_by_one(one) for one in log.split(START_MARK.decode())]
    return Logged(
        finished=total(one.finished for one in every),
        aborted_tokens=sum(one.aborted_tokens for one in every),
        aborted=sum(one.aborted for one in every),
    )


def _logged_by_one(log: str) -> Logged:
    prompt: dict[str, int] = {}
    completion: dict[str, int] = {}
    held: dict[str, int] = {}
    for line in log.splitlines():
        if found := _CACHED.search(line):
            prompt[found[1]] = int(found[2])
        elif found := _TIMING.search(line):
            if found[2] == "eval":
                completion[found[1]] = int(found[3])
            else:
                prompt[found[1]] = prompt.get(found[1], 0) + int(found[3])
        elif found := _RELEASE.search(line):
            held[found[1]] = int(found[2])
    return Logged(
        finished=Count(sum(prompt[task] for task in completion), sum(completion.values())),
        aborted_tokens=sum(held[task] for task in held if task not in completion),
        aborted=sum(task not in completion for task in held),
    )


# --- the books -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A request in the books."""

    key: str
    outcome: str
    estimated: bool
    count: Count


def books(database: Path) -> dict[str, Row]:
    """Every request in the books, by its id."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT id, key_name, outcome, estimated, prompt_tokens, completion_tokens "
            "FROM requests"
        ).fetchall()
    finally:
        connection.close()
    return {
        id: Row(key, outcome, bool(estimated), Count(prompt, completion))
        for id, key, outcome, estimated, prompt, completion in rows
    }


def total(counts: Iterable[Count]) -> Count:
    """All of them together."""
    return sum(counts, Count())
