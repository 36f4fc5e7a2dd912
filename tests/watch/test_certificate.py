"""A certificate that is no use, now or at the next start, needs attention; real certificates."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from hydra_box.alarms import Alarms
from hydra_box.tls import TlsFiles
from hydra_box.watch.certificate import PERIOD_SECONDS, CertificateWatch
from tests.security.certificates import NEEDS_OPENSSL, expired, make_certificate
from tests.told import Told

pytestmark = NEEDS_OPENSSL


class Ticks:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    certificate, key = make_certificate(tmp_path)
    return TlsFiles(certificate=certificate, key=key)


async def messages(watch: CertificateWatch, alarms: Alarms, ticks: Ticks) -> list[str]:
    """What needs attention after the next look."""
    ticks.now += PERIOD_SECONDS
    await watch.look()
    return [one.message for one in alarms.list()]


async def test_one_that_expires_is_an_alarm_until_another_is_served(files: TlsFiles) -> None:
    ticks, told = Ticks(), Told()
    alarms = Alarms(told)
    watch = CertificateWatch(alarms, files, ticks)
    assert await messages(watch, alarms, ticks) == []
    good = await asyncio.to_thread(files.certificate.read_bytes)
    old = await asyncio.to_thread(expired, files.certificate, files.key)
    await asyncio.to_thread(old.replace, files.certificate)
    for _ in range(2):
        (message,) = await messages(watch, alarms, ticks)
        assert message == (f"the certificate {files.certificate} has expired, so clients refuse it")
    assert told.kinds == ["alarm.raised"]
    await asyncio.to_thread(files.certificate.write_bytes, good)
    await asyncio.to_thread(os.utime, files.certificate, (1, 1))
    (message,) = await messages(watch, alarms, ticks)
    assert message.endswith("was renewed, and the one before it is served")
    again = CertificateWatch(alarms, files, ticks)
    assert await messages(again, alarms, ticks) == []


async def test_one_that_would_keep_the_next_daemon_from_starting_is_an_alarm(
    files: TlsFiles,
) -> None:
    ticks, alarms = Ticks(), Alarms(Told())
    watch = CertificateWatch(alarms, files, ticks)
    await asyncio.to_thread(files.key.unlink)
    (message,) = await messages(watch, alarms, ticks)
    assert message.startswith(f"the daemon would not start again: {files.key} cannot be read")


async def test_it_looks_now_and_then_and_without_https_never(files: TlsFiles) -> None:
    ticks, alarms = Ticks(), Alarms(Told())
    watch, none = CertificateWatch(alarms, files, ticks), CertificateWatch(alarms, None, ticks)
    assert await messages(watch, alarms, ticks) == []
    await asyncio.to_thread(files.certificate.unlink)
    await watch.look()
    assert alarms.list() == ()
    assert await messages(none, alarms, ticks) == []
    assert len(await messages(watch, alarms, ticks)) == 1
