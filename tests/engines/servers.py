"""Real engines for tests, started as the supervisor starts them."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra_box.engines.llama_cpp import LlamaCpp
from hydra_box.engines.llama_cpp_runtimes import find_bundled
from hydra_box.types import EngineOptions, Launch, ProcessExit
from tests.waiting import eventually

ACCESS_NAME = "u-1100a15812cc/tiny"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Answer:
    """What an engine answered."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


def ask(socket_path: Path, path: str, request: Any = None) -> Answer:
    """POST ``request`` as JSON (bytes as they are), or GET if there is none."""
    connection = _UnixConnection(socket_path)
    try:
        if request is None:
            connection.request("GET", path)
        else:
            body = request if isinstance(request, bytes) else json.dumps(request)
            connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class Server:
    """An engine's process, loading or ready."""

    process: subprocess.Popen[bytes]
    socket_path: Path
    log_path: Path

    def connection(self) -> http.client.HTTPConnection:
        """A new connection to its socket."""
        return _UnixConnection(self.socket_path)

    def ask(self, path: str, request: Any = None) -> Answer:
        """What it answers; see the function of that name."""
        return ask(self.socket_path, path, request)

    def ready(self) -> bool:
        """Whether its health page says so."""
        assert self.process.poll() is None, self.log_path.read_text()
        return self.socket_path.exists() and self.ask("/health").status == 200

    def wait(self) -> ProcessExit:
        """How it ended."""
        code = self.process.wait(timeout=60)
        return ProcessExit(signal=-code) if code < 0 else ProcessExit(code=code)


def options(**changes: Any) -> EngineOptions:
    """One slot of 256 tokens unless a test says otherwise."""
    wanted = {"context_length": 256, "slots": 1, "batch_tokens": 512}
    return EngineOptions(**{**wanted, **changes})


def launch(model: Path, directory: Path, *, device: str = "cpu", **changes: Any) -> Launch:
    """What a test asks of an engine; ``changes`` are those of ``options``."""
    return Launch(
        instance_id="tiny-01234567",
        access_name=ACCESS_NAME,
        model_path=str(model),
        socket_path=str(directory / "engine.sock"),
        device=device,
        options=options(**changes),
    )


@contextmanager
def started(wanted: Launch, argv: tuple[str, ...] | None = None) -> Iterator[Server]:
    """A bundled llama.cpp that was just started on ``wanted``, or another ``argv``."""
    if argv is None:
        command = LlamaCpp().command(find_bundled()[0], wanted)
        argv, env = command.argv, command.env
    else:
        env = {}
    socket_path = Path(wanted.socket_path)
    log_path = socket_path.with_suffix(".log")
    with log_path.open("wb") as log:
        process = subprocess.Popen(argv, env=env, stdout=log, stderr=log)
    try:
        yield Server(process, socket_path, log_path)
    finally:
        process.kill()
        process.wait()


@contextmanager
def serving(wanted: Launch) -> Iterator[Server]:
    """A bundled llama.cpp that is ready."""
    with started(wanted) as server:
        eventually(server.ready, what="the engine is ready", ignoring=(ConnectionError,))
        yield server
