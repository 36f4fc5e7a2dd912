from __future__ import annotations

import gc
import weakref

from tui import tidying


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


def test_full_collections_come_when_they_are_asked_for() -> None:
    before = gc.get_threshold()
    with tidying.seldom():
        ring = Ring()
        gone = weakref.ref(ring)
        gc.collect(1)
        del ring
        assert gone() is not None
        tidying.tidy()
        assert gone() is None
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
