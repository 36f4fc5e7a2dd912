"""One installation of an engine that this console has asked for; it goes on whatever is shown."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from hydra_box.errors import EngineUnavailable, HydraError
from hydra_box.messages import InstallProgress
from hydra_box.types import Runtime
from tui.link import Link

_LINES_KEPT: Final = 5000


class Installation:
    """What the installer has printed, and how it ended."""

    def __init__(
        self, engine: str, *, clock: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self.engine = engine
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self.lines_in_all = 0
        """Also those that are not kept any more."""
        self.runtime: Runtime | None = None
        self.error: HydraError | None = None
        self.was_stopped = False
        self._clock = clock
        self._changed = changed
        self._started_at = clock()
        self._ended_at: float | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it has not ended yet."""
        return self._ended_at is None

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return (self._ended_at or self._clock()) - self._started_at

    async def run(self, link: Link) -> None:
        """Until it ends; cancelling this ends it on the box, too."""
        try:
            async with link.stream(lambda box: box.install_engine(self.engine)) as steps:
                async for step in steps:
                    self._take(step)
        except HydraError as error:
            self.error = error
        except asyncio.CancelledError:
            self.was_stopped = True
            raise
        finally:
            self._end()

    def _take(self, step: InstallProgress) -> None:
        if step.line is not None:
            self.lines.append(step.line)
            self.lines_in_all += 1
        if step.runtime is not None:
            self.runtime = step.runtime
        if step.error is not None:
            self.error = EngineUnavailable(step.error.error.message, hint=step.error.hint)
        self._changed()

    def _end(self) -> None:
        self._ended_at = self._clock()
        if self.runtime is None and self.error is None and not self.was_stopped:
            self.error = EngineUnavailable(
                f"the installation of {self.engine} ended without a result",
                hint="the daemon's log may tell more: logs/daemon.log in the state directory",
            )
        self._changed()
