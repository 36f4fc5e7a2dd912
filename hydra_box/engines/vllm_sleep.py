"""vLLM's sleep mode: the weights go to the RAM, the KV cache is dropped, the process stays.

Its calls are there only in vLLM's development mode, with others that must never be passed on. They
are reached over the engine's own socket alone, and the gateway forwards no path but its own.
"""

from __future__ import annotations

from pathlib import Path

import aiohttp
import msgspec

from hydra_box.engines import asking
from hydra_box.errors import EngineError

FLAGS = ("--enable-sleep-mode",)
ENVIRONMENT = {"VLLM_SERVER_DEV_MODE": "1"}

LONGEST_NAP_CALL_SECONDS = 120.0
"""To move the weights: hundreds of GB over PCIe, into memory that is pinned first."""


class _Sleeping(msgspec.Struct):
    is_sleeping: bool


class VllmSleep:
    """Has a vLLM process sleep and wake."""

    async def sleep(self, socket_path: Path) -> None:
        """Have it give back what it holds of the GPUs; it has no request under way.

        Raises:
            EngineError: it does not, or does not answer.

        """
        await self._tell(socket_path, "/sleep?level=1", asleep=True)

    async def sleeps(self, socket_path: Path) -> bool:
        """Whether it sleeps now.

        Raises:
            EngineError: it does not answer, or not so that it is understood.

        """
        answer = await asking.read(socket_path, "/is_sleeping", LONGEST_NAP_CALL_SECONDS)
        try:
            return msgspec.json.decode(answer, type=_Sleeping).is_sleeping
        except msgspec.DecodeError as error:
            raise EngineError(
                f"what the engine says of its sleep is not understood: {error}"
            ) from error

    async def wake(self, socket_path: Path) -> None:
        """Have it take the GPUs again.

        Raises:
            EngineError: it does not, or does not answer.

        """
        await self._tell(socket_path, "/wake_up", asleep=False)

    async def _tell(self, socket_path: Path, path: str, *, asleep: bool) -> None:
        timeout = aiohttp.ClientTimeout(total=LONGEST_NAP_CALL_SECONDS)
        try:
            async with (
                asking.engine_at(socket_path) as session,
                session.post(path, timeout=timeout) as response,
            ):
                status = response.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise EngineError(f"the engine does not answer when told {path}") from error
        if status != 200:
            raise EngineError(f"the engine answered {status} when told {path}")
        found = await self.sleeps(socket_path)
        if found != asleep:
            raise EngineError(
                f"the engine was told {path}, and {'sleeps' if found else 'is awake'}"
            )
