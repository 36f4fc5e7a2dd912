"""Waiting for something to become true: bounded, and the only polling there is in the tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL_SECONDS = 0.05
PATIENCE_SECONDS = 90.0
"""Of a machine that is busy, or stands still for a while; who need not wait does not."""


def eventually(
    condition: Callable[[], T],
    timeout: float = PATIENCE_SECONDS,
    *,
    what: str = "the condition",
    ignoring: tuple[type[Exception], ...] = (),
) -> T:
    """The first true value of ``condition``, asked again and again for ``timeout`` seconds.

    An exception of the classes in ``ignoring`` counts as "not yet".

    Raises:
        AssertionError: it did not become true; says what it was last.

    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            last = value = condition()
            if value:
                return value
        except ignoring as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what}: not within {timeout:g} s; at last {last!r}")
        time.sleep(INTERVAL_SECONDS)
