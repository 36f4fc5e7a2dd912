"""Engines that can sleep: give their GPUs back, keep their process, and wake in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from hydra_box.engines.vllm_sleep import VllmSleep
from hydra_box.types import EngineName


class SleepMode(Protocol):
    """An engine's own way to sleep, on GPUs; only of a process whose ``Launch`` lets it."""

    async def sleep(self, socket_path: Path) -> None:
        """Have it give back what it holds of the GPUs; it has no request under way.

        Raises:
            EngineError: it does not, or does not answer.

        """
        ...

    async def sleeps(self, socket_path: Path) -> bool:
        """Whether it sleeps now.

        Raises:
            EngineError: it does not answer, or not so that it is understood.

        """
        ...

    async def wake(self, socket_path: Path) -> None:
        """Have it take the GPUs again.

        Raises:
            EngineError: it does not, or does not answer.

        """
        ...


SLEEP_MODES: Mapping[EngineName, SleepMode] = MappingProxyType({EngineName.VLLM: VllmSleep()})
"""Not llama.cpp: its ``--sleep-idle-seconds`` ends with any look at its counters, and its process
keeps a CUDA context. It is stopped, which frees all, and the kernel keeps the pages of its file."""
