"""``doctor`` on what a box keeps: permissions, database, backups, disks, clock and TLS."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from hydra_box.config import Paths, Settings, resolve_paths
from hydra_box.doctor import clock
from hydra_box.doctor.clock import check_clock, follows_time_server
from hydra_box.doctor.database import check_database
from hydra_box.doctor.disks import check_disks
from hydra_box.doctor.listening import check_tls, check_url
from hydra_box.doctor.permissions import check_permissions
from hydra_box.store import Store
from hydra_box.store.backup import stamp
from hydra_box.types import Event, Finding, Severity

DAY_SECONDS = 86_400


@pytest.fixture
def paths(home: Path) -> Paths:
    found = resolve_paths({"HYDRA_BOX_HOME": str(home)})
    found.create()
    return found


@pytest.fixture
async def stored(paths: Paths) -> Paths:
    """A database with one event, from an hour ago."""
    store = await Store.open(paths.database)
    an_hour_ago = time.time() - 3600
    await store.add_event(
        Event(id=0, at=an_hour_ago, kind="service.status", message="a is RUNNING")
    )
    await store.close()
    return paths


def worst(findings: list[Finding]) -> Finding:
    """The one that matters most."""
    order = (Severity.ERROR, Severity.WARNING, Severity.INFO)
    return min(findings, key=lambda one: order.index(one.severity))


def database(paths: Paths, *, running: bool = False) -> Finding:
    found, _ = check_database(paths, running=running)
    return worst(found)


# --- the database ----------------------------------------------------------------


def test_a_database_that_was_never_made_is_in_order(paths: Paths) -> None:
    (found,), newest = check_database(paths, running=False)
    assert (found.severity, newest) == (Severity.INFO, None)
    assert "does not exist yet" in found.message


@pytest.mark.parametrize("left", [None, b""])
def test_a_lost_database_is_an_error(stored: Paths, left: bytes | None) -> None:
    (stored.backups / f"{stamp(time.time())}.db").touch()
    stored.database.unlink()
    if left is not None:
        stored.database.write_bytes(left)
    found = database(stored)
    assert found.severity is Severity.ERROR
    assert "is missing or empty, and there are backups of it" in found.message
    assert "hydra-box restore" in str(found.hint)


def test_a_whole_database_is_in_order_and_left_as_it_is(stored: Paths) -> None:
    before = {one.name: one.stat().st_mtime_ns for one in stored.home.iterdir()}
    found, newest = check_database(stored, running=False)
    assert {one.severity for one in found} == {Severity.INFO}
    assert newest is not None
    assert newest < time.time() - 3000
    assert {one.name: one.stat().st_mtime_ns for one in stored.home.iterdir()} == before


def test_a_database_that_somebody_writes_can_be_read_meanwhile(stored: Paths) -> None:
    with closing(sqlite3.connect(stored.database)) as daemon:
        daemon.execute("CREATE TABLE more (x)")
        daemon.execute("BEGIN IMMEDIATE")
        assert database(stored).severity is Severity.INFO


def test_a_damaged_database_is_an_error(stored: Paths) -> None:
    size = stored.database.stat().st_size
    with stored.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    found = database(stored)
    assert found.severity is Severity.ERROR
    assert "is damaged" in found.message
    assert "hydra-box restore" in str(found.hint)


def test_a_file_that_is_no_database_is_an_error(paths: Paths) -> None:
    paths.database.write_text("not a database, not at all, but long enough for a header of one\n")
    assert database(paths).severity is Severity.ERROR


def test_a_database_of_a_newer_version_is_an_error(stored: Paths) -> None:
    with closing(sqlite3.connect(stored.database)) as newer, newer:
        newer.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('hydra_box', 'm999_flying_cars', '2099-01-01')"
        )
    found = database(stored)
    assert found.severity is Severity.ERROR
    assert "m999_flying_cars" in found.message


def test_a_damaged_database_that_was_set_aside_is_a_warning(stored: Paths) -> None:
    (stored.home / "hydra-box.db.damaged-20260101T000000Z").touch()
    found = database(stored)
    assert found.severity is Severity.WARNING
    assert "hydra-box.db.damaged-20260101T000000Z" in found.message


def test_lines_of_the_usage_journal_that_cannot_be_read_are_a_warning(stored: Paths) -> None:
    (stored.home / "usage-journal.unreadable").write_text("torn\n")
    assert database(stored).check == "usage journal"


def test_an_old_backup_is_a_warning_while_the_daemon_runs(stored: Paths) -> None:
    assert database(stored, running=True).message.startswith("none in")
    old = stored.backups / f"{stamp(time.time() - 3 * DAY_SECONDS)}.db"
    old.touch()
    found = database(stored, running=True)
    assert (found.check, found.severity) == ("backups", Severity.WARNING)
    assert "1 backup, the newest 3 d 0 h old" in found.message
    assert database(stored, running=False).severity is Severity.INFO
    (stored.backups / f"{stamp(time.time())}.db").touch()
    assert database(stored, running=True).severity is Severity.INFO


# --- permissions -----------------------------------------------------------------


def test_a_private_box_is_in_order(stored: Paths) -> None:
    (found,) = check_permissions(stored)
    assert found.severity is Severity.INFO


@pytest.mark.parametrize("name", ["hydra-box.db", "upstreams/key", "backups/old.db"])
def test_a_secret_that_others_may_read_is_a_warning(stored: Paths, name: str) -> None:
    path = stored.home / name
    path.touch()
    path.chmod(0o644)
    (found,) = check_permissions(stored)
    assert found.severity is Severity.WARNING
    assert f"{path} has mode 0644" in found.message
    assert found.hint == f"chmod 600 {path}"


def test_a_directory_of_sockets_that_others_may_enter_is_a_warning(stored: Paths) -> None:
    stored.instances.chmod(0o755)
    (found,) = check_permissions(stored)
    assert found.hint == f"chmod 700 {stored.instances}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_of_another_user_is_an_error(stored: Paths) -> None:
    os.chown(stored.database, 65534, 65534)
    (found,) = check_permissions(stored)
    assert found.severity is Severity.ERROR
    assert "belongs to the user 65534" in found.message


# --- TLS -------------------------------------------------------------------------


def test_no_certificate_is_in_order() -> None:
    (found,) = check_tls(Settings(), {})
    assert found.severity is Severity.INFO


def test_a_certificate_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    settings = Settings(tls_certificate=str(tmp_path / "no.pem"), tls_key=str(tmp_path / "no.key"))
    (found,) = check_tls(settings, {})
    assert found.severity is Severity.ERROR
    assert "cannot be read" in found.message


def test_a_certificate_without_a_key_is_an_error(tmp_path: Path) -> None:
    (found,) = check_tls(Settings(tls_certificate=str(tmp_path / "no.pem")), {})
    assert found.message == "tls_certificate is set and tls_key is not"


# --- the clock -------------------------------------------------------------------


def test_a_clock_behind_the_last_event_is_an_error() -> None:
    found = check_clock(1_000_000.0, 1_000_000.0 + 2 * DAY_SECONDS, synchronized=True)
    assert found.severity is Severity.ERROR
    assert "2 d behind the last event" in found.message
    assert check_clock(1_000_000.0, 1_000_001.0, synchronized=True).severity is Severity.INFO


@pytest.mark.parametrize(
    ("synchronized", "severity"),
    [(True, Severity.INFO), (False, Severity.WARNING), (None, Severity.INFO)],
)
def test_a_clock_that_follows_nobody_is_a_warning(
    synchronized: bool | None, severity: Severity
) -> None:
    assert check_clock(2.0, 1.0, synchronized=synchronized).severity is severity


def test_timesyncd_or_the_kernel_says_whether_the_clock_follows_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "SYNCHRONIZED", tmp_path / "synchronized")
    assert follows_time_server() in (True, False, None)
    (tmp_path / "synchronized").touch()
    assert follows_time_server() is True


# --- disks and doors -------------------------------------------------------------


def test_a_disk_is_told_once_with_all_that_is_on_it(paths: Paths) -> None:
    found = check_disks(paths, Settings(model_directory=str(paths.home / "hub")), {})
    assert [one.check for one in found] == ["disk"]
    assert found[0].message.endswith("for the state, the logs and the models")
    assert found[0].severity is Severity.INFO


def test_a_disk_with_less_than_its_reserve_is_a_warning(paths: Paths) -> None:
    settings = Settings(disk_reserve_bytes=1 << 60)
    found = worst(check_disks(paths, settings, {"HOME": str(paths.home)}))
    assert found.severity is Severity.WARNING
    assert "hydra-box models list" in str(found.hint)


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_an_address_that_cannot_be_reached_is_an_error(port: int) -> None:
    found = check_url(f"http://127.0.0.1:{port}")
    assert found.severity is Severity.ERROR
    assert "cannot be reached from this machine: Connection refused" in found.message


def test_findings_are_told_as_json_has_them() -> None:
    found = check_clock(2.0, 1.0, synchronized=None)
    assert set(msgspec.to_builtins(found)) == {"check", "severity", "message", "hint"}
