"""When Python looks for garbage: seldom and at a known time, because a key waits for it.

With hundreds of widgets and services alive, a full collection takes a fifth of a second, and by
Python's own rules one comes every second while answers stream.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 60.0
"""Between two full collections."""
_YOUNG = 50_000
_MIDDLE = 20
_NEVER = 1_000_000


@contextmanager
def seldom() -> Iterator[None]:
    """No full collection by itself, for as long as the block runs: ``tidy`` does it."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def tidy() -> None:
    """A full collection now."""
    gc.collect()
