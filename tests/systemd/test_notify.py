"""What the manager hears, word for word."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_box.systemd.notify import Notifier
from tests.systemd.manager import Manager


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, home: Path) -> Iterator[Manager]:
    manager = Manager(home.parent, abstract=request.param == "abstract")
    yield manager
    manager.close()


def test_each_word_is_one_message(listening: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": listening.name})
    notifier.ready()
    notifier.ping()
    notifier.extend(1.5)
    assert [listening.hear() for _ in range(3)] == [
        "READY=1",
        "WATCHDOG=1",
        "EXTEND_TIMEOUT_USEC=1500000",
    ]


def test_a_reload_tells_when_it_began(listening: Manager) -> None:
    Notifier({"NOTIFY_SOCKET": listening.name}).reloading()
    word, time = listening.hear().splitlines()
    assert word == "RELOADING=1"
    assert time.startswith("MONOTONIC_USEC=")
    assert int(time.partition("=")[2]) > 0


def test_a_status_is_one_line_told_when_it_changes_and_until_the_end(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.name})
    notifier.status("demo:\nloads")
    notifier.status("demo: loads")
    notifier.stopping()
    notifier.status("1 service serves")
    assert manager.hear() == "STATUS=demo: loads"
    assert manager.hear().splitlines()[0] == "STOPPING=1"
    assert not manager.has_heard()


def test_without_a_manager_nothing_is_said() -> None:
    notifier = Notifier({"WATCHDOG_USEC": "1000000"})
    notifier.ready()
    assert not notifier.listens
    assert notifier.watchdog is None


def test_a_manager_that_is_gone_is_told_in_the_log(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        Notifier({"NOTIFY_SOCKET": str(home / "nobody")}).ready()
    assert "the service manager was not told 'READY=1'" in caplog.text


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_it_pings_at_half_of_what_the_manager_allows(
    given: dict[str, str], seconds: float | None
) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/nobody", **given}).watchdog == seconds
