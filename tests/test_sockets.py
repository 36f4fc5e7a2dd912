"""The doors of the daemon."""

from __future__ import annotations

import socket

import pytest

from hydra_box import sockets


def test_a_client_that_does_not_read_is_gone_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "STALLED_CLIENT_SECONDS", 1)
    with sockets.listen("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            accepted, _ = listener.accept()
            with accepted, pytest.raises(TimeoutError):
                # More than the kernel keeps for both sides.
                accepted.sendall(b"x" * (64 << 20))
