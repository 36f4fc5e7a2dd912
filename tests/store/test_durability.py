"""Nothing that was acknowledged is lost: not to a SIGKILL, a cancelled task or a full disk."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlite_utils

from hydra_box.errors import StateError
from hydra_box.store import Store
from hydra_box.store.database import Database
from hydra_box.store.migrations import migrate
from tests.waiting import PATIENCE_SECONDS

WRITER = """
import asyncio, sys
from pathlib import Path
from hydra_box.store import Store
from tests.samples import a_key, a_service, an_event

async def main():
    store = await Store.open(Path(sys.argv[1]))
    owner = await store.local_user()
    number = 0
    while True:
        number += 1
        service = a_service(f"s-{number}", owner_id=owner.id, created_at=float(number))
        await store.save_service(service)
        await store.save_key(a_key(f"k-{number}", owner_id=owner.id, created_at=float(number)))
        await store.add_event(an_event(f"e-{number}"))
        print(number, flush=True)

asyncio.run(main())
"""


async def test_a_sigkill_loses_no_acknowledged_write(tmp_path: Path) -> None:
    path = tmp_path / "hydra-box.db"
    for target in (30, 60):
        acknowledged = await asyncio.to_thread(_write_until_killed, path, target)
    store = await Store.open(path)
    try:
        expected = set(range(1, acknowledged + 1))
        assert {int(one.name[2:]) for one in await store.services()} >= expected
        assert {int(one.name[2:]) for one in await store.keys()} >= expected
        assert {int(one.message[2:]) for one in await store.events(limit=10_000)} >= expected
    finally:
        await store.close()


def _write_until_killed(path: Path, target: int) -> int:
    """Start a writer and kill it when it has acknowledged the ``target``; returns its last."""
    argv = [sys.executable, "-c", WRITER, str(path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        last = 0
        for line in writer.stdout:
            last = int(line)
            if last == target:
                writer.kill()
    assert last >= target
    assert writer.returncode == -9
    return last


class Gate:
    """Lets a test hold the owner thread inside a transaction."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def write(self, db: sqlite_utils.Database) -> None:
        self.entered.set()
        assert self.open.wait(PATIENCE_SECONDS)
        db.execute("INSERT INTO users (id, name, created_at) VALUES ('u-gate', 'gate', 1.0)")

    def fail(self, db: sqlite_utils.Database) -> None:
        self.write(db)
        db.execute("INSERT INTO no_such_table VALUES (1)")


@pytest.fixture
def gate() -> Gate:
    return Gate()


async def _database(tmp_path: Path) -> Database:
    path = tmp_path / "hydra-box.db"
    return await Database.open(path, lambda db: migrate(db, path))


def _names(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


def _add_another(db: sqlite_utils.Database) -> None:
    db.execute("INSERT INTO users (id, name, created_at) VALUES ('u-another', 'another', 2.0)")


def _users(db: sqlite_utils.Database) -> int:
    (count,) = db.execute("SELECT COUNT(*) FROM users").fetchone()
    assert isinstance(count, int)
    return count


async def test_a_cancelled_caller_does_not_undo_its_write(tmp_path: Path, gate: Gate) -> None:
    database = await _database(tmp_path)
    writing = asyncio.create_task(database.run(gate.write))
    behind = asyncio.create_task(database.run(_add_another))
    assert await asyncio.to_thread(gate.entered.wait, PATIENCE_SECONDS)
    writing.cancel()
    behind.cancel()
    outcomes = await asyncio.gather(writing, behind, return_exceptions=True)
    assert [type(one) for one in outcomes] == [asyncio.CancelledError] * 2
    gate.open.set()
    assert await database.run(_users) == 2
    await database.close()


async def test_a_failure_that_nobody_waits_for_is_logged(
    tmp_path: Path, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    database = await _database(tmp_path)
    writing = asyncio.create_task(database.run(gate.fail))
    assert await asyncio.to_thread(gate.entered.wait, PATIENCE_SECONDS)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    gate.open.set()
    assert await database.run(_users) == 0
    assert "a write that its caller gave up failed" in caplog.text
    assert "no such table: no_such_table" in caplog.text
    assert len(caplog.records) == 1
    await database.close()


async def test_a_failed_call_is_rolled_back_and_the_next_one_works(
    tmp_path: Path, gate: Gate
) -> None:
    database = await _database(tmp_path)
    gate.open.set()
    with pytest.raises(StateError, match="no such table"):
        await database.run(gate.fail)
    assert await database.run(_users) == 0
    await database.run(gate.write)
    assert await database.run(_users) == 1
    await database.close()


async def test_closing_carries_out_what_was_asked_for(tmp_path: Path, gate: Gate) -> None:
    database = await _database(tmp_path)
    writing = asyncio.create_task(database.run(gate.write))
    assert await asyncio.to_thread(gate.entered.wait, PATIENCE_SECONDS)
    closing = asyncio.create_task(database.close())
    gate.open.set()
    await asyncio.gather(writing, closing)
    database = await _database(tmp_path)
    assert await database.run(_users) == 1
    await database.close()


async def test_opening_that_is_cancelled_leaves_the_file_closed(tmp_path: Path, gate: Gate) -> None:
    path = tmp_path / "hydra-box.db"

    def prepare(db: sqlite_utils.Database) -> None:
        migrate(db, path)
        gate.write(db)

    opening = asyncio.create_task(Database.open(path, prepare))
    assert await asyncio.to_thread(gate.entered.wait, PATIENCE_SECONDS)
    opening.cancel()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    # The last connection that is closed removes the log beside the file.
    assert _names(tmp_path) == ["hydra-box.db"]


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from hydra_box.errors import StateError
from hydra_box.store import Store
from tests.samples import an_event

async def main():
    store = await Store.open(Path(sys.argv[1]))
    await store.add_event(an_event("before"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, resource.RLIM_INFINITY))
    try:
        for _ in range(100):
            await store.add_event(an_event("x" * 10_000))
    except StateError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.add_event(an_event("after"))
    events = await store.events()
    print(events[0].message, events[-1].message, [one.id for one in events][-1] == len(events))
    await store.close()

asyncio.run(main())
"""


async def test_a_file_that_cannot_grow_fails_that_write_only(tmp_path: Path) -> None:
    path = tmp_path / "hydra-box.db"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", FULL_DISK, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    first, *_, last = done.stdout.splitlines()
    assert str(path) in first
    assert last == "before after True"
