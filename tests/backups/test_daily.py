"""The box's own backups: when, how many, and what happens when none can be made."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from hydra_box.alarms import Alarms
from hydra_box.backups import daily as backups_module
from hydra_box.backups.daily import DAMAGED, FAILED, SET_ASIDE, Backups
from hydra_box.config import Paths, Settings
from hydra_box.doctor.database import check_database
from hydra_box.errors import DamagedState, DiskFull
from hydra_box.store import Store, backup
from hydra_box.store.recovery import Recovered
from hydra_box.types import Severity
from tests.samples import an_event
from tests.store.test_backup import damage, names
from tests.told import Told

NOW = 1_795_000_000.0
HOUR_SECONDS = 3600.0


class Machine:
    """A clock and a disk that a test sets."""

    def __init__(self) -> None:
        self.now = NOW
        self.free_bytes = 1 << 40

    def clock(self) -> float:
        return self.now

    def free(self, path: Path) -> int:
        return self.free_bytes


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(home=tmp_path / "home", run=tmp_path / "home" / "run")
    made.create()
    return made


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def alarms(told: Told) -> Alarms:
    return Alarms(told)


@pytest_asyncio.fixture
async def store(paths: Paths) -> AsyncIterator[Store]:
    opened = await Store.open(paths.database)
    yield opened
    await opened.close()


def made(paths: Paths, machine: Machine, alarms: Alarms, **more: object) -> Backups:
    settings = Settings(backup_count=3)
    recovered = more.get("recovered")
    assert recovered is None or isinstance(recovered, Recovered)
    return Backups(
        paths, settings, alarms, recovered=recovered, clock=machine.clock, free=machine.free
    )


async def run_until(backups: Backups, condition: Callable[[], object]) -> None:
    """Let it run until something is true."""
    running = asyncio.create_task(backups.run())
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.wait([running])


async def test_the_oldest_go_and_those_before_migrations_are_counted_apart(
    paths: Paths, machine: Machine, alarms: Alarms, store: Store
) -> None:
    before = "20200101T000000Z-before-m006_appliance.db"
    await asyncio.to_thread((paths.backups / before).touch)
    backups = made(paths, machine, alarms)
    for number in range(5):
        machine.now = NOW + number * 24 * HOUR_SECONDS
        await store.add_event(an_event(str(number)))
        await backups.make()
    kept = [f"{backup.stamp(NOW + days * 24 * HOUR_SECONDS)}.db" for days in (2, 3, 4)]
    assert names(paths.backups) == [before, *kept]
    assert alarms.all() == ()


async def test_a_clock_that_was_set_back_does_not_make_the_newest_the_oldest(
    paths: Paths, machine: Machine, alarms: Alarms, store: Store
) -> None:
    backups = made(paths, machine, alarms)
    for _ in range(3):
        await backups.make()
    machine.now = 0.0
    newest = await backups.make()
    assert backup.backups_in(paths.backups)[0] == newest
    assert newest.name == f"{backup.stamp(NOW + 3)}.db"
    assert len(names(paths.backups)) == 3


@pytest.mark.parametrize(
    ("hours_ago", "due"), [(0.1, False), (5.9, False), (6.1, True), (30, True), (-1, True)]
)
async def test_a_start_makes_one_unless_there_is_a_fresh_one(
    paths: Paths, machine: Machine, alarms: Alarms, store: Store, hours_ago: float, due: bool
) -> None:
    backups = made(paths, machine, alarms)
    machine.now = NOW - hours_ago * HOUR_SECONDS
    await backups.make()
    machine.now = NOW
    seconds = backups._seconds_until_due()
    assert seconds == (0.0 if due else pytest.approx((24 - hours_ago) * HOUR_SECONDS, abs=1))


async def test_it_makes_them_by_itself(
    paths: Paths,
    machine: Machine,
    alarms: Alarms,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backups_module, "DAY_SECONDS", 0.001)
    await run_until(made(paths, machine, alarms), lambda: len(names(paths.backups)) >= 3)
    assert alarms.all() == ()


async def test_a_disk_that_is_nearly_full_is_not_filled(
    paths: Paths, machine: Machine, alarms: Alarms, store: Store, told: Told
) -> None:
    backups = made(paths, machine, alarms)
    await backups.make()
    machine.free_bytes = 2 << 30
    with pytest.raises(DiskFull, match="the backup of the database needs"):
        await backups.make()
    assert not await backups.try_to_make()
    (alarm,) = alarms.all()
    assert alarm.id == FAILED
    assert "no backup of the database was made" in alarm.attention.message
    assert len(names(paths.backups)) == 1
    machine.free_bytes = 1 << 40
    assert await backups.try_to_make()
    assert alarms.all() == ()
    assert told.kinds == ["alarm.raised", "alarm.cleared"]


async def test_a_database_that_gets_damaged_takes_no_good_backup_away(
    paths: Paths, machine: Machine, alarms: Alarms, store: Store
) -> None:
    for number in range(200):
        await store.add_event(an_event(f"{number} " * 100))
    backups = made(paths, machine, alarms)
    for _ in range(3):
        await backups.make()
    before = names(paths.backups)
    await store.close()
    await asyncio.to_thread(damage, paths.database)
    with pytest.raises(DamagedState):
        await backups.make()
    assert not await backups.try_to_make()
    assert [(one.id, one.severity) for one in alarms.all()] == [(DAMAGED, "error")]
    assert names(paths.backups) == before


async def test_a_database_that_was_removed_meanwhile_is_told(
    paths: Paths, machine: Machine, alarms: Alarms, store: Store
) -> None:
    await asyncio.to_thread(paths.database.unlink)
    assert not await made(paths, machine, alarms).try_to_make()
    (alarm,) = alarms.all()
    assert (alarm.id, alarm.severity) == (DAMAGED, "error")
    assert "hydra-box.db was removed while the daemon runs" in alarm.attention.message


async def test_what_was_recovered_is_told(
    paths: Paths, machine: Machine, alarms: Alarms, store: Store
) -> None:
    backups = made(paths, machine, alarms)
    made_at = await backups.make()
    damaged = paths.home / "hydra-box.db.damaged-20261118T110640Z"
    await asyncio.to_thread(damaged.touch)
    recovered = Recovered(damaged=damaged, why="page 7 is junk", backup=made_at)
    await run_until(made(paths, machine, alarms, recovered=recovered), alarms.all)
    (line,) = alarms.list()
    assert "the backup of 2026-11-18 11:06 UTC took its place" in line.message
    assert "page 7 is junk" in line.message
    assert str(damaged) in (line.hint or "")


async def test_a_damaged_database_is_told_of_until_it_is_moved_away(
    paths: Paths,
    machine: Machine,
    alarms: Alarms,
    told: Told,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damaged = paths.home / "hydra-box.db.damaged-20261118T110640Z"
    await asyncio.to_thread(damaged.touch)
    monkeypatch.setattr(backups_module, "LOOK_SECONDS", 0.005)

    def is_over() -> bool:
        if alarms.is_raised(SET_ASIDE):
            damaged.unlink(missing_ok=True)
        return not damaged.exists() and not alarms.all()

    await run_until(made(paths, machine, alarms), is_over)
    assert told.kinds == ["alarm.raised", "alarm.cleared"]
    assert str(damaged) in told.said[0].message


async def test_doctor_says_the_same_as_the_alarm(
    paths: Paths, machine: Machine, alarms: Alarms, store: Store
) -> None:
    def left(*names: str) -> None:
        for name in names:
            (paths.home / name).touch()

    await asyncio.to_thread(
        left,
        "hydra-box.db.damaged-20261118T110640Z",
        "hydra-box.db.damaged-20261118T110640Z-wal",
        "hydra-box.db.lost-20261119T110640Z",
    )
    await run_until(made(paths, machine, alarms), alarms.all)
    (alarm,) = alarms.all()
    findings, _ = await asyncio.to_thread(check_database, paths, running=True)
    told = next(one for one in findings if one.severity is not Severity.INFO)
    assert (told.message, told.hint) == (alarm.attention.message, alarm.attention.hint)
    assert told.severity is alarm.severity
    assert "20261119T110640Z is of a database that was lost" in told.message
    assert "and 1 more lie beside it" in told.message


async def test_a_copy_that_another_program_removes_meanwhile_ends_nothing(
    paths: Paths, machine: Machine, alarms: Alarms, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = paths.backups / ".staging-gone"
    await asyncio.to_thread(gone.mkdir)
    looked_at = Path.lstat

    def vanish(path: Path) -> os.stat_result:
        if path == gone and gone.exists():
            gone.rmdir()
        return looked_at(path)

    monkeypatch.setattr(Path, "lstat", vanish)
    await run_until(made(paths, machine, alarms), lambda: backup.backups_in(paths.backups))
    assert alarms.all() == ()


async def test_what_killed_copies_have_left_goes(
    paths: Paths, machine: Machine, alarms: Alarms, store: Store
) -> None:
    old = (paths.backups / ".staging-old", paths.backups / "20261118T110640Z.db.new")
    young = paths.backups / ".staging-young"

    def leave() -> None:
        old[0].mkdir()
        (old[0] / "hydra-box.db").touch()
        old[1].touch()
        young.mkdir()
        for path in old:
            os.utime(path, (NOW - 1e6, NOW - 1e6))

    await asyncio.to_thread(leave)
    await run_until(made(paths, machine, alarms), lambda: backup.backups_in(paths.backups))
    assert names(paths.backups)[0] == young.name
    assert not await asyncio.to_thread(lambda: [one for one in old if one.exists()])


async def test_one_that_fails_is_told_once_and_ends_nothing(
    paths: Paths,
    machine: Machine,
    alarms: Alarms,
    told: Told,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def unreadable(_path: Path) -> int:
        raise OSError(5, "Input/output error")

    backups = made(paths, machine, alarms)
    backups._free = unreadable
    for _ in range(2):
        assert not await backups.try_to_make()
    assert [one.kind for one in told.said] == ["alarm.raised"]
    assert "Input/output error" in told.said[0].message
    assert "no backup" not in caplog.text
    backups._free = machine.free
    assert await backups.try_to_make()
    assert told.kinds == ["alarm.raised", "alarm.cleared"]
