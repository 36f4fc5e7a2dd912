"""Engines and their runtimes."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType
from urllib.parse import quote

from hydra_box.client.base import (
    API,
    SLOW_ANSWER_SECONDS,
    Calls,
)
from hydra_box.errors import NotFound
from hydra_box.messages import (
    InstallEngineRequest,
    InstallProgress,
)
from hydra_box.types import Runtime


class EngineCalls(Calls):
    """Engines and their runtimes."""

    def engines(self) -> tuple[Runtime, ...]:
        """Every runtime."""
        return self._connection.call("GET", f"{API}/engines", tuple[Runtime, ...])

    def install_engine(self, engine: str) -> Iterator[InstallProgress]:
        """Build an engine on the box; the last item has ``runtime`` or ``error``."""
        body = InstallEngineRequest(engine=engine)
        for line in self._connection.lines("POST", f"{API}/engines/install", body=body):
            yield self._connection.decode(line, InstallProgress, "a line of progress")

    def verify_engine(self, runtime_id: str) -> Runtime:
        """Have a runtime answer on the demo model."""
        return self._connection.call(
            "POST",
            f"{API}/engines/verify",
            Runtime,
            params={"runtime": runtime_id},
            seconds=SLOW_ANSWER_SECONDS,
        )

    def pin_engine(self, runtime_id: str, *, allow_downtime: bool = False) -> Runtime:
        """Use this runtime of its engine and no other; what runs on another is replaced."""
        allowed = {"allow_downtime": True} if allow_downtime else {}
        return self._connection.call(
            "POST",
            f"{API}/engines/pin",
            Runtime,
            params={"runtime": runtime_id, **allowed},
            seconds=SLOW_ANSWER_SECONDS,
        )

    def unpin_engine(self, runtime_id: str) -> Runtime:
        """Let the box choose among the engine's runtimes again; what runs stays as it is."""
        return self._connection.call(
            "POST", f"{API}/engines/unpin", Runtime, params={"runtime": runtime_id}
        )

    def remove_engine(self, runtime_id: str) -> None:
        """Remove an installed runtime."""
        engine, _, runtime = runtime_id.partition("/")
        if not runtime:
            raise NotFound(
                f"there is no runtime {runtime_id!r}", hint="hydra-box engines list shows them"
            )
        path = f"{API}/engines/{quote(engine, safe='')}/{quote(runtime, safe='')}"
        self._connection.call("DELETE", path, NoneType)
