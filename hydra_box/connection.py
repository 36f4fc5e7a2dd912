"""Requests to a daemon over HTTP: what goes wrong on the way comes out as a ``HydraError``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM
from socket import socket as Socket  # noqa: N812 - a class, whatever its case
from typing import Any, TypeVar

import httpx
import msgspec

from hydra_box.connection_faults import broken_hint, check_key, check_url, error_of, no_daemon
from hydra_box.errors import (
    DaemonUnreachable,
    HydraError,
    Unauthenticated,
)
from hydra_box.types import ErrorBody

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0

_CONNECTED = frozenset(
    f"connection.{step}.complete" for step in ("connect_tcp", "connect_unix_socket", "start_tls")
)
"""What httpcore traces when it has a socket."""

T = TypeVar("T")


class Connection:
    """One daemon, over its UNIX socket or its URL; nothing is sent before the first call.

    Every method raises the error that the daemon answered, or ``DaemonUnreachable`` when nobody
    answers, or ``HydraError`` when what answers is no Hydra Box or takes too long.
    """

    def __init__(
        self, *, socket: Path | None = None, url: str | None = None, api_key: str | None = None
    ) -> None:
        if (socket is None) == (url is None):
            raise ValueError("give either a socket or a url")
        self._socket = socket
        self._sockets: list[Socket] = []
        self._aborted = False
        self._where = str(socket or url)
        self._has_key = api_key is not None
        self._http = httpx.Client(
            base_url=check_url(url) if url is not None else "http://localhost",
            transport=httpx.HTTPTransport(
                uds=None if socket is None else str(socket),
                # Certificates take long to load, and are needed for https only.
                verify=url is not None and url.startswith("https:"),
            ),
            headers={} if api_key is None else {"Authorization": f"Bearer {check_key(api_key)}"},
            timeout=_timeout(ANSWER_SECONDS),
        )

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def abort(self) -> None:
        """End whatever is being asked or read in another thread, and all that is asked later.

        Who waits there gets an error.
        """
        self._aborted = True
        for each in self._sockets:
            _shut(each)

    def call(
        self,
        method: str,
        path: str,
        type: type[T],
        *,
        body: msgspec.Struct | None = None,
        params: Mapping[str, Any] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> T:
        """One request, its answer decoded; an answer without content is None."""
        with self._open(method, path, body=body, params=params, seconds=seconds) as response:
            data = response.read() or b"null"
        return self.decode(data, type, f"the answer to {method} {path}")

    def lines(
        self,
        method: str,
        path: str,
        *,
        body: msgspec.Struct | Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        silence_seconds: float | None = None,
    ) -> Iterator[bytes]:
        """The lines of an answer as they come, without their ends.

        ``httpx`` would also break them at U+2028 and the like, which JSON may contain.
        """
        opened = self._open(method, path, body=body, params=params, seconds=silence_seconds)
        with opened as response:
            rest = b""
            for data in response.iter_bytes():
                *lines, rest = (rest + data).split(b"\n")
                yield from lines
            if rest:
                yield rest

    def parts(
        self, method: str, path: str, *, silence_seconds: float | None = None
    ) -> Iterator[bytes]:
        """The parts of an answer that is no text, as they come."""
        with self._open(method, path, body=None, params=None, seconds=silence_seconds) as response:
            yield from response.iter_bytes()

    def event_data(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        silence_seconds: float | None = None,
    ) -> Iterator[bytes]:
        """The data of server-sent events that have one line of it each, as all of ours have."""
        for line in self.lines(
            method, path, body=body, params=params, silence_seconds=silence_seconds
        ):
            if line.startswith(b"data:"):
                yield line[5:].strip()

    def decode(self, data: bytes, type: type[T], what: str) -> T:
        """JSON as a value of the type; ``what`` names it in the error."""
        try:
            return msgspec.json.decode(data, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._stranger(f"{what} is wrong, {error}", data) from error

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        *,
        body: msgspec.Struct | Mapping[str, Any] | None,
        params: Mapping[str, Any] | None,
        seconds: float | None,
    ) -> Iterator[httpx.Response]:
        """A good answer, its body still to be read; at most so many seconds between two parts."""
        if self._socket is not None:
            _check_socket(self._socket)
        headers = {} if body is None else {"Content-Type": "application/json"}
        with (
            self._translated(f"{method} {path}"),
            self._http.stream(
                method,
                path,
                params=params,
                content=None if body is None else msgspec.json.encode(body),
                headers=headers,
                timeout=_timeout(seconds),
                extensions={"trace": self._trace},
            ) as response,
        ):
            if not response.is_success:
                response.read()
                raise self._refusal(response)
            yield response

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the sockets: one that somebody reads can only be ended at the socket itself."""
        if event not in _CONNECTED:
            return
        made: Socket = info["return_value"].get_extra_info("socket")
        self._sockets = [*(one for one in self._sockets if one.fileno() >= 0), made]
        if self._aborted:
            _shut(made)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """The transport's errors as ours."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise no_daemon(self._where, error) from error
        except httpx.TimeoutException as error:
            raise HydraError(f"{self._where} did not answer {what} in time") from error
        except httpx.RequestError as error:
            raise DaemonUnreachable(
                f"the connection to {self._where} broke during {what}: {error}",
                hint=broken_hint(self._where, error),
            ) from error

    def _refusal(self, response: httpx.Response) -> HydraError:
        """The error that the daemon answered."""
        try:
            body = msgspec.json.decode(response.content, type=ErrorBody)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._stranger(f"status {response.status_code}", response.content)
        if response.status_code == 401 and not self._has_key:
            return Unauthenticated(
                f"{self._where} asks for an admin key, and none was given",
                hint="set HYDRA_BOX_API_KEY, or give --api-key KEY; on that machine "
                "hydra-box keys create --name NAME --scope admin makes one",
            )
        retry_after = response.headers.get("retry-after", "")
        return error_of(body, int(retry_after) if retry_after.isdecimal() else None)

    def _stranger(self, fact: str, data: bytes) -> HydraError:
        """What to say of an answer that no daemon of this version gives."""
        start = data[:80].decode(errors="replace")
        return HydraError(
            f"what answers at {self._where} is no Hydra Box of this version: {fact}: {start!r}",
            hint="check the address; after an upgrade, restart the daemon",
        )


def _shut(one: Socket) -> None:
    # It may have been closed meanwhile by who reads it.
    with contextlib.suppress(OSError):
        one.shutdown(SHUT_RDWR)


def _check_socket(path: Path) -> None:
    """Find out whether a daemon listens; httpcore leaves its socket open when none does."""
    try:
        with Socket(AF_UNIX, SOCK_STREAM) as probe:
            probe.connect(str(path))
    except OSError as error:
        raise no_daemon(str(path), error) from error


def _timeout(seconds: float | None) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=CONNECT_SECONDS)
