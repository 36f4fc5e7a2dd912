"""The pulse, and the line that tells what the daemon does."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from hydra_box.messages import ServiceView
from hydra_box.systemd.heartbeat import describe, heartbeat
from hydra_box.systemd.notify import Notifier
from hydra_box.types import ServiceStatus
from tests.cli.fake_box import a_service_view
from tests.systemd.manager import Manager

S = ServiceStatus


def service(name: str, status: ServiceStatus, **more: str) -> ServiceView:
    return a_service_view(name=name, status=status, **more)


@pytest.mark.parametrize(
    ("services", "line"),
    [
        ([], "answers"),
        ([service("a", S.STOPPED)], "answers; no service runs, 1 are stopped"),
        ([service("a", S.RUNNING)], "1 service serves"),
        ([service("a", S.RUNNING), service("b", S.SCALING)], "2 services serve"),
        (
            [service("a", S.RUNNING), service("b", S.DEPLOYING, progress="loading, 4 s")],
            "1 of 2 services serve; b: loading, 4 s",
        ),
        ([service("b", S.FAILED, reason="no memory")], "0 of 1 services serve; b: no memory"),
    ],
)
def test_what_the_services_do_is_one_line(services: list[ServiceView], line: str) -> None:
    assert describe(services) == line


async def test_a_daemon_that_is_not_well_does_not_ping(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000"})
    well, looks = True, itertools.count()

    def line() -> str:
        return f"{'well' if well else 'ill'}, look {next(looks)}"

    async with heartbeat(notifier, is_well=lambda: well, describe=line):
        await asyncio.to_thread(manager.hear_until, "WATCHDOG=1")
        well = False
        # However many beats were on their way: the one that says so is the first without a ping.
        await asyncio.to_thread(manager.hear_until, "STATUS=ill")
        later = [await asyncio.to_thread(manager.hear) for _ in range(3)]
    assert all(one.startswith("STATUS=ill") for one in later)
