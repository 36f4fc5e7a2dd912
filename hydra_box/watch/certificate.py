"""Watches the certificate: clients refuse one that has expired, and nobody sits at the box."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

from hydra_box.alarms import Alarms
from hydra_box.errors import ConfigError
from hydra_box.plan.alarms import Sign
from hydra_box.tls import TlsFiles, load_tls, validity_fault
from hydra_box.types import Severity

SCOPE: Final = "tls."
PERIOD_SECONDS: Final = 600.0


class CertificateWatch:
    """Raises an alarm for a certificate that is no use, now or at the next start.

    Args:
        alarms: where.
        files: what https is spoken with; None: the box speaks http.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        alarms: Alarms,
        files: TlsFiles | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._alarms = alarms
        self._files = files
        self._clock = clock
        self._due_at = clock()
        self._served = None if files is None else _written_at(files)

    async def look(self) -> None:
        """Look, if that is due."""
        if self._files is None or self._clock() < self._due_at:
            return
        self._due_at = self._clock() + PERIOD_SECONDS
        files = self._files
        signs = await asyncio.to_thread(lambda: tuple(self._signs(files)))
        self._alarms.hold(SCOPE, signs)

    def _signs(self, files: TlsFiles) -> Iterator[Sign]:
        try:
            context, _ = load_tls(files)
        except ConfigError as error:
            message = f"the daemon would not start again: {error.message}"
            yield Sign(
                id=f"{SCOPE}files", message=message, hint=error.hint, severity=Severity.ERROR
            )
            return
        if fault := validity_fault(files.certificate, context):
            message, _, hint = fault.partition("; hint: ")
            yield Sign(id=f"{SCOPE}validity", message=message, hint=hint, severity=Severity.ERROR)
        elif _written_at(files) != self._served:
            yield Sign(
                id=f"{SCOPE}renewed",
                message=f"{files.certificate} was renewed, and the one before it is served",
                hint="hydra-box restart takes it up",
            )


def _written_at(files: TlsFiles) -> int | None:
    """When the certificate's file was written, in nanoseconds; None: there is none."""
    try:
        return files.certificate.stat().st_mtime_ns
    except FileNotFoundError:
        return None
