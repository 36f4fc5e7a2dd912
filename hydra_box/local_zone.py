"""The time zone of this machine, with its rules of every year, as the C library knows them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo


class LocalZone(tzinfo):
    """The zone that ``TZ`` or ``/etc/localtime`` tells.

    ``datetime.astimezone`` makes a zone of today's offset only, wrong over half of the year.
    """

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        """East of UTC."""
        if dt is None:
            return None
        # Without a zone it is of this one, and ``fold`` says which of two equal times it is.
        return _offset(dt.replace(tzinfo=None).timestamp())

    def dst(self, dt: datetime | None) -> None:
        """Not known apart from the offset."""

    def tzname(self, dt: datetime | None) -> str:  # noqa: ARG002 - as datetime has it
        """Its name."""
        return "local"

    def fromutc(self, dt: datetime) -> datetime:
        """The local time of a UTC time."""
        at = dt.replace(tzinfo=UTC).timestamp()
        local = dt + _offset(at)
        # The later one of two equal times is the one that the clock was set back to.
        return local if local.timestamp() == at else local.replace(fold=1)


def _offset(at: float) -> timedelta:
    return timedelta(seconds=time.localtime(at).tm_gmtoff)
