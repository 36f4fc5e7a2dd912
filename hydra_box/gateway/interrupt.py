"""Ending a block of awaits early, by someone else's word."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from hydra_box.errors import HydraError


class Interrupted(HydraError):
    """The block was ended by its ``Interrupt``; the ``with`` statement raises it."""

    code = "interrupted"


class Interrupt:
    """A block that a callback or another task may end, as ``asyncio.timeout`` ends one by time.

    It costs no task of its own. A cancellation of the surrounding task by others stays one.

    Raises:
        Interrupted: on leaving the block, after ``fire``.

    """

    __slots__ = ("_cancelling", "_fired", "_task")

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._fired = False

    def fire(self) -> None:
        """End the block at the await where it is now; nothing outside of the block."""
        if self._task is not None and not self._fired:
            self._fired = True
            self._task.cancel()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task here
        self._task = task
        self._cancelling = task.cancelling()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if not self._fired or task is None:
            return
        if task.uncancel() <= self._cancelling and exc_type is asyncio.CancelledError:
            raise Interrupted("interrupted") from exc
