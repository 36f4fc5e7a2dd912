"""Alarms begin and end with one event each; what watches the box raises them."""

from __future__ import annotations

from pathlib import Path

from hydra_box.alarms import Alarms
from hydra_box.messages import Attention
from hydra_box.plan.alarms import Bounds, Conditions, Disk, Sign
from hydra_box.plan.clock import Moment
from hydra_box.types import Severity
from hydra_box.watch.clock import SHOWN_SECONDS, ClockWatch
from hydra_box.watch.deaths import WITHIN_SECONDS, Deaths
from hydra_box.watch.host import HostWatch, read_conditions, stalled_percent
from tests.machines import GIB
from tests.samples import a_service, an_instance
from tests.told import Said, Told

BOUNDS = Bounds(disk_bytes=GIB, ram_bytes=0, daemon_bytes=100 * GIB)


class Ticks:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_alarm_begins_and_ends_once() -> None:
    told = Told()
    alarms = Alarms(told)
    alarms.raise_("disk", "10 MiB are free", hint="remove something", service_name="demo")
    alarms.raise_("disk", "9 MiB are free")
    assert alarms.list() == (Attention(message="9 MiB are free"),)
    alarms.clear("disk")
    alarms.clear("disk")
    assert alarms.list() == ()
    assert told.said == [
        Said("alarm.raised", "10 MiB are free; hint: remove something", Severity.WARNING),
        Said("alarm.cleared", "over: 9 MiB are free", Severity.INFO),
    ]


def test_the_worst_come_first_then_the_oldest() -> None:
    clock = Ticks()
    alarms = Alarms(Told(), clock=clock)
    for id, severity in (("a", Severity.WARNING), ("b", Severity.ERROR), ("c", Severity.WARNING)):
        clock.now -= 1.0
        alarms.raise_(id, id, severity=severity)
    assert [one.message for one in alarms.list()] == ["b", "c", "a"]


def test_a_scope_is_held_to_what_is_due_and_others_are_left_alone() -> None:
    told = Told()
    alarms = Alarms(told)
    alarms.raise_("other", "other")
    alarms.hold("gpu.", [Sign(id="gpu.1", message="1"), Sign(id="gpu.2", message="2")])
    alarms.hold("gpu.", [Sign(id="gpu.2", message="2"), Sign(id="gpu.3", message="3")])
    assert alarms.raised() == {"other", "gpu.2", "gpu.3"}
    assert told.kinds == ["alarm.raised"] * 3 + ["alarm.cleared", "alarm.raised"]


def test_a_clock_that_is_set_is_told_for_a_while() -> None:
    told, times = Told(), [1000.0, 50.0]
    alarms = Alarms(told)
    clock = ClockWatch(alarms, 10.0, lambda: Moment(wall_seconds=times[0], steady_seconds=times[1]))

    def pass_seconds(seconds: float, *, jump: float = 0.0) -> None:
        times[0] += seconds + jump
        times[1] += seconds
        clock.look()

    pass_seconds(5.0, jump=9.0)
    assert alarms.list() == ()
    pass_seconds(5.0, jump=-7200.0)
    assert [one.message for one in alarms.list()] == ["the clock was set back by 2 h"]
    pass_seconds(5.0, jump=7200.0)
    assert [one.message for one in alarms.list()] == ["the clock was set forward by 2 h"]
    pass_seconds(SHOWN_SECONDS)
    assert alarms.list() != ()
    pass_seconds(5.0)
    assert alarms.list() == ()
    assert told.kinds == ["alarm.raised", "alarm.cleared"] * 2


def test_engines_that_die_too_often_are_told_for_an_hour() -> None:
    ticks = Ticks()
    alarms = Alarms(Told())
    deaths = Deaths(alarms, 3, clock=ticks)
    service = a_service("demo")
    for restarts in (7, 8, 9):
        deaths.look([service], [an_instance(service_id=service.id, restarts=restarts)])
        ticks.now += 10.0
    assert alarms.list() == (), "what was before it was looked at does not count"
    deaths.look([service], [an_instance(service_id=service.id, restarts=10)])
    (attention,) = alarms.list()
    assert attention == Attention(
        message="engines of demo died 3 times within an hour",
        hint="hydra-box logs demo shows why",
        service_name="demo",
    )
    ticks.now += WITHIN_SECONDS - 15.0
    deaths.look([service], [an_instance(service_id=service.id, restarts=10)])
    assert alarms.list() == ()
    deaths.look([], [])


async def test_a_disk_that_fills_and_empties_is_told_once_each() -> None:
    told, free = Told(), [2 * GIB]
    alarms = Alarms(told)

    def read() -> Conditions:
        disk = Disk(holds="the models", path="/models", free_bytes=free[0])
        return Conditions(ram_available_bytes=GIB, disks=(disk,))

    host = HostWatch(alarms, BOUNDS, read)
    for free_bytes in (2 * GIB, GIB - 1, GIB // 2, GIB, 2 * GIB):
        free[0] = free_bytes
        await host.look()
    assert [one.kind for one in told.said] == ["alarm.raised", "alarm.cleared"]
    assert told.said[0].message.startswith(
        "the disk of the models is nearly full: 1,023 MiB are free at /models; hint: "
    )


async def test_a_machine_that_cannot_be_looked_at_keeps_its_alarms() -> None:
    alarms = Alarms(Told())
    alarms.raise_("machine.ram", "the memory is nearly used up")

    def fail() -> Conditions:
        raise OSError(5, "Input/output error")

    await HostWatch(alarms, BOUNDS, fail).look()
    assert alarms.is_raised("machine.ram")


def test_the_machine_is_read_and_each_disk_once(tmp_path: Path) -> None:
    missing = tmp_path / "not" / "made" / "yet"
    found = read_conditions({"the state directory": tmp_path, "the models": missing})
    (disk,) = found.disks
    assert (disk.holds, disk.path) == ("the state directory", str(tmp_path))
    assert disk.free_bytes > 0
    assert found.ram_available_bytes > 0
    assert found.daemon_bytes > 0


def test_what_the_kernel_says_of_waiting_for_memory(tmp_path: Path) -> None:
    pressure = tmp_path / "memory"
    assert stalled_percent(pressure) is None
    pressure.write_text(
        "some avg10=1.00 avg60=40.11 avg300=2.00 total=5\n"
        "full avg10=0.00 avg60=12.34 avg300=0.10 total=4\n"
    )
    assert stalled_percent(pressure) == 12.34
