"""The books against the engines' own counts and against what clients got, whatever dies."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from hydra_box.messages import CreateKeyRequest, DeployRequest
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e import balance
from tests.e2e.balance import Asked, Count, Customer, Row, total
from tests.waiting import eventually

KEYS = 10
INSTANCES = 3
AT_ONCE = 2
PART = 50
"""Requests of each key in each of four parts: 2,000 in all."""

KILL_AFTER_SECONDS = 1.0

MOST_UNHEARD_TOKENS = 4
"""What an engine may make of a request after the last event that it sends."""

SETTINGS = {"log_limit_bytes": 1 << 30}


def make(box: RunningBox) -> tuple[str, list[Customer]]:
    """The model, and the customers with their keys."""
    request = DeployRequest(
        model="demo", name="demo", public=True, instances=INSTANCES, concurrency=4, device="cpu"
    )
    model = box.deploy(request).access_name
    names = [f"customer-{number}" for number in range(KEYS)]
    made = [box.client.create_key(CreateKeyRequest(name=name)) for name in names]
    return model, [Customer(one.name, one.key) for one in made]


def run(box: RunningBox, model: str, customers: Sequence[Customer], seed: int) -> list[Asked]:
    return asyncio.run(balance.load(box.url, model, customers, PART, at_once=AT_ONCE, seed=seed))


def sockets(box: RunningBox) -> list[Path]:
    """Those of the engines that are there."""
    found = [one for one in box.paths.instances.glob("*/engine.sock") if balance.answers(one)]
    assert len(found) == INSTANCES
    return found


def counted(box: RunningBox) -> Count:
    """What the engines count, once they have nothing under way."""
    eventually(lambda: all(balance.is_idle(one) for one in sockets(box)), what="idle engines")
    return total(balance.counters(one) for one in sockets(box))


def logs(box: RunningBox) -> str:
    return "".join(one.read_text() for one in box.paths.logs.glob("demo-*.log"))


def check_delivered(asked: Sequence[Asked], rows: dict[str, Row]) -> None:
    """What reached a client stands in the books as it was told to the client."""
    delivered = [one for one in asked if one.delivered]
    for one in delivered:
        row = rows[one.request_id or ""]
        assert (row.key, row.outcome, row.estimated) == (one.key, "ok", False), one
        assert row.count == one.count, one
    for name in {one.key for one in asked}:
        seen = total(one.count for one in delivered if one.key == name)
        ids = {one.request_id for one in delivered if one.key == name}
        assert total(row.count for id, row in rows.items() if id in ids) == seen


def check_left(asked: Sequence[Asked], rows: dict[str, Row], *ends: str) -> None:
    """Who left is charged for what it was sent at the least, and by the engine's own count.

    ``ends``: what else than its client may have ended such a request first.
    """
    for one in asked:
        row = rows.get(one.request_id or "")
        if one.left and row is not None:
            assert row.outcome in ("client_gone", "ok", *ends), (one, row)
            assert row.count.completion >= one.events, (one, row)
            assert row.count.prompt > 0
            assert not row.estimated


@pytest.mark.slow
def test_in_quiet_the_books_are_the_engines_counters(start_box: StartBox) -> None:
    box = start_box(**SETTINGS)
    model, customers = make(box)
    before = counted(box)
    asked = run(box, model, customers, seed=1)
    after = counted(box) - before
    eventually(lambda: len(balance.books(box.paths.database)) == len(asked), what="all is written")
    rows = balance.books(box.paths.database)
    check_delivered(asked, rows)
    check_left(asked, rows)
    finished = total(row.count for row in rows.values() if row.outcome == "ok")
    gone = [row for row in rows.values() if row.outcome == "client_gone"]
    assert len(gone) > 0
    # An engine counts requests that it finished: some of those whose clients left, too.
    surplus = after.completion - finished.completion
    assert 0 <= surplus <= len(gone) * balance.LONGEST_ANSWER_TOKENS
    # Those that it broke off are in its log only. It holds all of their tokens but the last.
    engines = balance.logged(logs(box))
    worked = all_tokens(engines.finished - before) + engines.aborted_tokens + engines.aborted
    charged = all_tokens(total(row.count for row in rows.values()))
    assert abs(worked - charged) <= MOST_UNHEARD_TOKENS * len(gone)
    print(
        f"{len(rows)} in the books, {len(gone)} broken off, {engines.aborted} of them by the "
        f"engine; tokens: engines {worked}, books {charged}"
    )


def all_tokens(count: Count) -> int:
    return count.prompt + count.completion


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_an_engine_and_the_daemon_killed(start_box: StartBox) -> None:
    box = start_box(**SETTINGS)
    model, customers = make(box)
    asked = run(box, model, customers, seed=1)

    # One engine dies under load.
    victim = box.client.service("demo").instances[0].pid
    assert victim is not None
    killer = threading.Timer(KILL_AFTER_SECONDS, os.kill, (victim, signal.SIGKILL))
    killer.start()
    asked += run(box, model, customers, seed=2)
    killer.join()
    box.wait_running("demo")

    # The daemon dies under load; its engines live on until the next one finds them.
    ender = threading.Timer(KILL_AFTER_SECONDS, box.process.kill)
    ender.start()
    asked += run(box, model, customers, seed=3)
    ender.join()
    assert box.stop() == -signal.SIGKILL
    eventually(lambda: all(balance.is_idle(one) for one in sockets(box)), what="idle engines")
    first = balance.logged(logs(box))
    probes = 1 + INSTANCES

    again = start_box(**SETTINGS)
    again.wait_running("demo")
    before = counted(again)
    asked += run(again, model, customers, seed=4)
    second = counted(again) - before
    known = {one.request_id for one in asked if one.status == 200 and not one.left}
    eventually(
        lambda: {one.request_id for one in asked if one.delivered} <= set(rows_of(again)),
        what="all that was delivered is written",
    )
    rows = rows_of(again)
    check_delivered(asked, rows)
    check_left(asked, rows, "engine_error")

    finished = total(row.count for row in rows.values() if row.outcome == "ok")
    engines = first.finished.completion - probes + second.completion
    gone = [row for row in rows.values() if row.outcome == "client_gone"]
    broken = sum(not one.delivered for one in asked)
    # What an engine finished and nobody got: its client left, or the daemon died just then.
    surplus = engines - finished.completion
    assert 0 <= surplus <= broken * balance.LONGEST_ANSWER_TOKENS
    charged = total(row.count for row in gone)
    print(
        f"{len(asked)} asked, {len(known)} answered, {len(rows)} in the books\n"
        f"completion tokens: engines {engines}, books (ok) {finished.completion}\n"
        f"broken off: {len(gone)} charged {charged}; the first engines held "
        f"{first.aborted_tokens} tokens of {first.aborted}"
    )


def rows_of(box: RunningBox) -> dict[str, Row]:
    return balance.books(box.paths.database)
