"""The typed client of a box: its management API, and chat for trying a service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from hydra_box.client.backups import BackupCalls
from hydra_box.client.box import BoxCalls
from hydra_box.client.chat import ChatCalls
from hydra_box.client.engines import EngineCalls
from hydra_box.client.keys import KeyCalls
from hydra_box.client.models import ModelCalls
from hydra_box.client.upstreams import UpstreamCalls
from hydra_box.client.usage import UsageCalls
from hydra_box.client.users import UserCalls
from hydra_box.config import resolve_paths
from hydra_box.connection import Connection


class Client(
    BoxCalls,
    ModelCalls,
    UpstreamCalls,
    UserCalls,
    KeyCalls,
    UsageCalls,
    EngineCalls,
    ChatCalls,
    BackupCalls,
):
    """One box, over its UNIX socket or its URL; nothing is sent before the first call.

    Every method raises the ``HydraError`` that the daemon answered, ``DaemonUnreachable`` when
    nobody answers, or ``HydraError`` when what answers is no Hydra Box or takes too long.
    """

    def __init__(
        self, *, socket: Path | None = None, url: str | None = None, api_key: str | None = None
    ) -> None:
        super().__init__(Connection(socket=socket, url=url, api_key=api_key))

    @classmethod
    def connect(cls, *, url: str | None, api_key: str | None, environ: Mapping[str, str]) -> Client:
        """The box at a URL; without one, the daemon of this user's state directory."""
        if url is not None:
            return cls(url=url, api_key=api_key)
        return cls(socket=resolve_paths(environ).management_socket)

    def close(self) -> None:
        """Let the connections go."""
        self._connection.close()

    def abort(self) -> None:
        """End every answer that is being read, in whatever thread: its reader gets an error."""
        self._connection.abort()

    def __enter__(self) -> Client:
        """For ``with``."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


__all__ = ["Client"]
