"""What instances leave on the disk: their sockets and logs, and processes of an earlier daemon."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection

from hydra_box.config import Paths
from hydra_box.process import reap_leftovers, rotate


class InstanceFiles:
    """Keeps logs small, and removes what is left of instances that are over."""

    def __init__(self, paths: Paths, log_limit_bytes: int) -> None:
        self._paths = paths
        self._log_limit_bytes = log_limit_bytes

    async def reap(self) -> list[int]:
        """End the engine processes that an earlier daemon left behind; their pids."""
        return await asyncio.to_thread(reap_leftovers, self._paths.home)

    async def rotate(self, instance_ids: Collection[str]) -> None:
        """Move the logs that have become too long."""
        await asyncio.to_thread(self._rotate, instance_ids)

    def remove(self, instance_id: str) -> None:
        """Remove an instance's directory and its logs."""
        shutil.rmtree(self._paths.instance_socket(instance_id).parent, ignore_errors=True)
        log_path = self._paths.instance_log(instance_id)
        log_path.unlink(missing_ok=True)
        log_path.with_name(log_path.name + ".1").unlink(missing_ok=True)

    def _rotate(self, instance_ids: Collection[str]) -> None:
        for instance_id in instance_ids:
            rotate(self._paths.instance_log(instance_id), self._log_limit_bytes)
