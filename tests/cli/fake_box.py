"""A box that answers the management API from a script: for what a real one does too rarely."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from hydra_box.errors import HydraError, NotFound
from hydra_box.messages import BoxStatus, InstanceView, ServiceStats, ServiceView
from hydra_box.types import EngineName, InstanceState, MeasuredMemory, ServiceStatus

USER = "u-1100a15812cc"


@dataclass
class FakeBox:
    """What it was asked, and what it answers.

    ``answers`` maps ``"GET /api/v1/services/a"`` to what it says, one after the other; the last
    is said again and again. Bytes go out as they are, an error with its status.
    """

    url: str = ""
    answers: dict[str, deque[object]] = field(default_factory=dict)
    asked: list[tuple[str, str | None, Any]] = field(default_factory=list)
    """Method with path, the Authorization header, the decoded body."""

    def says(self, request: str, *answers: object) -> None:
        """Script the answers to a request."""
        self.answers[request] = deque(answers)

    def bodies(self, request: str) -> list[Any]:
        """The decoded bodies of the requests of that name."""
        return [body for asked, _, body in self.asked if asked == request]

    def next_answer(self, request: str) -> object:
        """What it says now."""
        script = self.answers.get(request.partition("?")[0])
        if not script:
            return NotFound(f"nothing is at {request}")
        return script.popleft() if len(script) > 1 else script[0]


@contextmanager
def fake_box() -> Iterator[FakeBox]:
    """A fake box that listens on a free port while the block runs."""
    box = FakeBox()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = f"{self.command} {self.path}"
            decoded = msgspec.json.decode(body) if body else None
            box.asked.append((request, self.headers.get("Authorization"), decoded))
            answer = box.next_answer(request)
            status = answer.http_status if isinstance(answer, HydraError) else 200
            content = answer.body() if isinstance(answer, HydraError) else answer
            data = content if isinstance(content, bytes) else msgspec.json.encode(content)
            self.send_response(status)
            self.send_header("Content-Type", _content_type(data))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        box.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()


def _content_type(data: bytes) -> str:
    if data.startswith(b"data:"):
        return "text/event-stream"
    return "application/json" if data[:1] in b"{[" else "text/plain; charset=utf-8"


def an_instance_view(id: str = "a-00000001", **changes: Any) -> InstanceView:
    """A ready instance."""
    values: dict[str, Any] = {
        "id": id,
        "pid": 4242,
        "state": InstanceState.READY,
        "device": "cpu",
        "restarts": 0,
        "requests_in_flight": 1,
        "slots": 4,
        "runtime": "llama.cpp/bundled-1-cpu",
        "uptime_seconds": 65.0,
        "memory": (
            MeasuredMemory(device="cpu", predicted_bytes=60 << 20, measured_bytes=50 << 20),
        ),
        "reason": None,
    }
    return InstanceView(**values | changes)


def a_service_view(name: str = "a", **changes: Any) -> ServiceView:
    """A RUNNING service with one instance."""
    values: dict[str, Any] = {
        "id": f"svc-{name}",
        "name": name,
        "access_name": f"{USER}/{name}",
        "owner_id": USER,
        "public": False,
        "status": ServiceStatus.RUNNING,
        "base_model": "demo",
        "engine": EngineName.LLAMA_CPP,
        "quantization": "Q8_0",
        "context_length": 2048,
        "slots": 4,
        "desired_instances": 1,
        "ready_instances": 1,
        "instances": (an_instance_view(f"{name}-00000001"),),
        "created_at": 10.0,
        "stats": ServiceStats(),
    }
    return ServiceView(**values | changes)


def a_status(url: str = "http://127.0.0.1:4937", **changes: Any) -> BoxStatus:
    """A box with one service."""
    values: dict[str, Any] = {
        "version": "0.1.0",
        "pid": 4000,
        "url": url,
        "started_at": 0.0,
        "state_directory": "/home/someone/.local/share/hydra-box",
        "user_id": USER,
        "runtimes": {"llama.cpp": "llama.cpp/bundled-1-cpu"},
        "services": (a_service_view(),),
        "attention": (),
    }
    return BoxStatus(**values | changes)
