"""The disk and the database fail under a real daemon with a real engine; it goes on serving."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from hydra_box.client import Client
from hydra_box.errors import DiskFull, HydraError, StateError
from hydra_box.messages import DeployRequest
from hydra_box.store import backup
from hydra_box.types import Scope
from tests.boxes import PROGRAM, RunningBox
from tests.conftest import StartBox
from tests.small_disk import SmallDisk, small_disk
from tests.store.test_backup import damage
from tests.waiting import eventually

PATIENCE_SECONDS = 90.0


@pytest.fixture
def disk(home: Path) -> Iterator[SmallDisk]:
    """The state directory is a disk of its own."""
    with small_disk(home, "32m") as disk:
        yield disk


def call(box: RunningBox, key: str, count: int = 1) -> list[int]:
    """Ask the demo so often; the statuses."""
    body = {
        "model": box.client.service("demo").access_name,
        "messages": [{"role": "user", "content": "What is Hydra Box?"}],
        "max_tokens": 4,
    }
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=box.url, headers=headers, timeout=60) as client:
        return [client.post("/v1/chat/completions", json=body).status_code for _ in range(count)]


def attention(client: Client) -> str:
    return "\n".join(one.message for one in client.status().attention)


def all_is_stored(box: RunningBox) -> bool:
    """Whether neither the books nor late writes wait for the store."""
    told = attention(box.client)
    return "usage cannot be written" not in told and "changes wait in memory" not in told


def requests_used(client: Client) -> int:
    return client.usage().totals.requests


def requests_stored(box: RunningBox) -> int:
    with closing(sqlite3.connect(f"file:{box.paths.database}?mode=ro", uri=True)) as db:
        (count,) = db.execute("SELECT COUNT(*) FROM requests").fetchone()
    return int(count)


@pytest.mark.slow
def test_a_full_disk_stops_no_request_and_loses_none_in_the_books(
    disk: SmallDisk, start_box: StartBox
) -> None:
    box = start_box(disk_reserve_bytes=0)
    box.deploy(DeployRequest(model="demo", name="demo"))
    key = box.key("laptop", Scope.INFERENCE)
    assert call(box, key, 3) == [200] * 3
    disk.fill()
    assert call(box, key, 30) == [200] * 30
    with pytest.raises((DiskFull, StateError)) as caught:
        fill_the_log(box)
    assert caught.value.hint
    eventually(
        lambda: "usage cannot be written" in attention(box.client),
        PATIENCE_SECONDS,
        what="it is told that the books cannot be written",
    )
    assert requests_used(box.client) == 33
    assert call(box, key) == [200]
    disk.make_room()
    eventually(
        lambda: requests_stored(box) == 34, PATIENCE_SECONDS, what="the books are in the database"
    )
    eventually(lambda: all_is_stored(box), PATIENCE_SECONDS, what="nothing waits any more")
    assert requests_used(box.client) == 34
    box.key("after", Scope.INFERENCE)
    assert box.stop() == 0


def fill_the_log(box: RunningBox) -> None:
    """Change the desired state until the last room of the database's log is used up."""
    for number in range(1000):
        box.key(f"full-{number}", Scope.INFERENCE)


@pytest.mark.slow
def test_a_locked_database_stops_no_request(start_box: StartBox) -> None:
    box = start_box()
    box.deploy(DeployRequest(model="demo", name="demo"))
    key = box.key("laptop", Scope.INFERENCE)
    with closing(sqlite3.connect(box.paths.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert call(box, key, 10) == [200] * 10
        with pytest.raises(HydraError, match="locked by another program") as caught:
            box.key("refused", Scope.INFERENCE)
        assert caught.value.hint
        eventually(
            lambda: "locked by another program" in attention(box.client),
            PATIENCE_SECONDS,
            what="it is told",
        )
        assert call(box, key, 5) == [200] * 5
        other.execute("ROLLBACK")
    eventually(lambda: requests_stored(box) == 15, PATIENCE_SECONDS, what="all is stored")
    eventually(lambda: all_is_stored(box), PATIENCE_SECONDS, what="nothing waits any more")
    assert box.stop() == 0


def test_a_damaged_database_does_not_keep_a_box_down(start_box: StartBox) -> None:
    box = start_box()
    box.deploy(DeployRequest(model="demo", name="demo"))
    key = box.key("laptop", Scope.INFERENCE)
    assert call(box, key, 3) == [200] * 3
    eventually(lambda: list(box.paths.backups.glob("*.db")), what="there is a backup")
    assert box.stop() == 0
    # As the daily backup would have been made a moment ago; that of the first start has nothing.
    for old in box.paths.backups.glob("*.db"):
        backup.copy(box.paths.database, old)
    damage(box.paths.database)
    again = start_box()
    again.wait_running("demo")
    assert call(again, key) == [200]
    assert requests_used(again.client) == 4
    assert "the database was damaged, and the backup of" in attention(again.client)
    (damaged,) = again.home.glob("hydra-box.db.damaged-*")
    assert again.stop() == 0
    damaged.unlink()
    third = start_box()
    assert "damaged" not in attention(third.client)


def test_a_damaged_database_without_a_backup_is_told(start_box: StartBox) -> None:
    box = start_box()
    assert box.stop() == 0
    for one in box.paths.backups.iterdir():
        one.unlink()
    damage(box.paths.database)
    refused = serve(box)
    assert refused.returncode == 9
    assert "has no backup that is whole" in refused.stderr
    assert "hydra-box restore FILE" in refused.stderr
    again = start_box()
    assert "was damaged" in attention(again.client)


def test_a_box_comes_back_on_a_full_disk(disk: SmallDisk, start_box: StartBox) -> None:
    box = start_box(disk_reserve_bytes=0)
    box.deploy(DeployRequest(model="demo", name="demo"))
    key = box.key("laptop", Scope.INFERENCE)
    assert box.stop() == 0
    disk.fill()
    again = start_box(disk_reserve_bytes=0)
    again.wait_running("demo")
    assert call(again, key, 3) == [200] * 3
    disk.make_room()
    eventually(
        lambda: requests_stored(again) == 3, PATIENCE_SECONDS, what="the books are in the database"
    )
    assert again.stop() == 0


def test_a_state_directory_that_is_read_only_is_told(disk: SmallDisk, start_box: StartBox) -> None:
    box = start_box()
    assert box.stop() == 0
    disk.remount("ro")
    refused = serve(box)
    disk.remount("rw")
    assert refused.returncode == 9
    assert f"error: {box.home} is not writable: Read-only file system" in refused.stderr
    assert "hint: " in refused.stderr


def serve(box: RunningBox) -> subprocess.CompletedProcess[str]:
    """Start a daemon that will refuse to."""
    return subprocess.run(
        (PROGRAM, "serve", "--port", "0"),
        env=box.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
