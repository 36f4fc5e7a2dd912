"""What is told of a request of the endpoint once it is over, for whoever keeps the books."""

from __future__ import annotations

from collections.abc import Callable

from hydra_box.gateway.stream import Usage
from hydra_box.types import Frozen


class Finished(Frozen, frozen=True, kw_only=True):
    """A request that a service was found for, and how it ended."""

    key_id: str | None
    """None: no key was needed."""
    key_name: str
    service_id: str
    access_name: str
    failed: bool
    """It ended in an error; a client that left is none."""
    usage: Usage
    """Of a stream that its client left, the completion tokens are those that it was sent."""


Record = Callable[[Finished], None]
"""Takes note at once, and neither waits nor fails."""


def forget(finished: Finished) -> None:
    """Keep no books."""
