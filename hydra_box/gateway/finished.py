"""What is told of a request of the endpoint once it is over, for whoever keeps the books."""

from __future__ import annotations

from collections.abc import Callable

from hydra_box.types import RequestRecord

Record = Callable[[RequestRecord], None]
"""Takes note, and neither waits for anything but a write into memory or a file, nor fails."""


def forget(record: RequestRecord) -> None:
    """Keep no books."""
