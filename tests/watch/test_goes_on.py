"""What nobody thought of ends neither the watching nor the box: it is told, and goes on."""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest

from hydra_box import daemon
from hydra_box.alarms import Alarms
from hydra_box.watch.watching import Watching
from tests.told import Told


class Eyes:
    """Looks that fail a few times; stands for each of those who look."""

    period_seconds = 0.001

    def __init__(self, failures: int) -> None:
        self.looks = 0
        self._failures = failures

    async def look(self) -> None:
        """Fail, or see nothing."""
        self.looks += 1
        if self.looks <= self._failures:
            raise OSError(errno.EMFILE, "too many open files")

    def forget_all(self) -> None:
        """Ask nothing more."""


class Still:
    """Sees nothing."""

    def look(self, *_: object) -> None:
        """Nothing."""

    def services(self) -> tuple[()]:
        """None."""
        return ()

    instances = services


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is true."""
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)


async def test_a_look_that_fails_is_an_alarm_until_one_succeeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules[Watching.__module__], "PERIOD_SECONDS", 0.001)
    told = Told()
    alarms, liveness, host = Alarms(told), Eyes(3), Eyes(3)
    still: Any = Still()
    made = Watching(
        supervisor=still,
        alarms=alarms,
        liveness=cast("Any", liveness),
        growth=cast("Any", Eyes(0)),
        host=cast("Any", host),
        clock=still,
        deaths=still,
        certificate=cast("Any", Eyes(0)),
    )
    running = asyncio.create_task(made.run())
    await until(lambda: liveness.looks > 4 and host.looks > 4)
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])
    assert sorted(told.kinds) == ["alarm.cleared"] * 2 + ["alarm.raised"] * 2
    raised = sorted(one.message for one in told.said if one.kind == "alarm.raised")
    assert raised[0].startswith("the liveness of this box cannot be watched: OSError(24")
    assert alarms.list() == ()


async def test_work_in_the_background_that_breaks_is_an_alarm() -> None:
    alarms = Alarms(Told())

    async def breaks() -> None:
        raise RuntimeError("nobody thought of this")

    await daemon._do("making backups", breaks(), alarms)
    (line,) = alarms.list()
    assert line.message == (
        "making backups has failed, and is not done any more: "
        "RuntimeError('nobody thought of this')"
    )
