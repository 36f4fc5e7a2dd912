"""What was used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hydra_box.client.base import API, Calls
from hydra_box.messages import UsageBy, UsageFormat, UsagePer, UsageReport

Wanted = Mapping[str, str | float | None]
"""What narrows an answer, by the names of the API; None: it does not."""


class UsageCalls(Calls):
    """What was used."""

    def usage(
        self,
        *,
        by: UsageBy = UsageBy.MODEL,
        per: UsagePer = UsagePer.DAY,
        since: float | None = None,
        until: float | None = None,
    ) -> UsageReport:
        """What was used; unless ``since`` tells, as long back as the chart of ``per`` is long."""
        params = {"by": by, "per": per, **_given({"since": since, "until": until})}
        return self._connection.call("GET", f"{API}/usage", UsageReport, params=params)

    def usage_requests(
        self,
        format: UsageFormat,
        *,
        since: float | None = None,
        until: float | None = None,
        key: str | None = None,
        service: str | None = None,
    ) -> Iterator[str]:
        """The lines of an export of single requests, as they come; of two weeks unless told.

        Args:
            format: what the lines are.
            since: they ended from then on.
            until: they ended before.
            key: id or name of who sent them.
            service: id or access name of what they were for.

        """
        wanted = {"since": since, "until": until, "key": key, "service": service}
        for line in self._connection.lines(
            "GET", f"{API}/usage/requests", params={"format": format, **_given(wanted)}
        ):
            yield line.decode()


def _given(wanted: Wanted) -> dict[str, str | float]:
    return {name: value for name, value in wanted.items() if value is not None}
