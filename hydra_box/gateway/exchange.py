"""One request and its answer, as the relay sees them, whatever transport carries them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from hydra_box.errors import HydraError

Headers = Sequence[tuple[bytes, bytes]]


class ClientGone(HydraError):
    """The client left; there is nobody to answer."""

    code = "client_gone"


class Exchange(Protocol):
    """What a transport has to offer. The relay sends one ``start``, then ``send`` to the end."""

    @property
    def method(self) -> str:
        """``GET``, ``POST`` ..."""
        ...

    @property
    def path(self) -> str:
        """Percent-decoded, without the query."""
        ...

    @property
    def trusted(self) -> bool:
        """It came a way that only the box's owner has, and needs no key."""
        ...

    def header(self, name: bytes) -> str | None:
        """A request header's first value; ``name`` in lower case."""
        ...

    async def read_body(self, limit_bytes: int, grown: Callable[[int], None]) -> bytes:
        """The request's body.

        Args:
            limit_bytes: the most that it may have.
            grown: is told how many bytes have come; what it raises ends the reading.

        Raises:
            PayloadTooLarge: it is over the limit.
            ClientGone: the client left before the body's end.

        """
        ...

    async def wait_gone(self) -> None:
        """Returns when the client has left, or has its whole answer; after ``read_body`` only."""
        ...

    async def start(self, status: int, headers: Headers) -> None:
        """Begin the answer."""
        ...

    async def send(self, data: bytes, *, more: bool) -> None:
        """A part of the answer's body; the last one has ``more=False``."""
        ...
