"""What instances leave on the disk: their sockets and logs."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Collection

from hydra_box.config import Paths
from hydra_box.process import identity, rotate
from hydra_box.supervisor.leftovers import Leftovers

log = logging.getLogger(__name__)


class InstanceFiles:
    """Keeps logs small, and removes what is left of instances that are over."""

    def __init__(self, paths: Paths, log_limit_bytes: int) -> None:
        self._paths = paths
        self._log_limit_bytes = log_limit_bytes

    async def leftovers(self) -> Leftovers:
        """What an earlier daemon left: processes and directories."""
        return await asyncio.to_thread(Leftovers, self._paths)

    def names(self, instance_id: str) -> dict[str, str]:
        """The environment by which an instance's process is known."""
        return identity(self._paths.home, instance_id)

    async def rotate(self, instance_ids: Collection[str]) -> None:
        """Move the logs that have become too long."""
        await asyncio.to_thread(self._rotate, instance_ids)

    def remove(self, instance_id: str) -> None:
        """Remove an instance's directory and its logs."""
        shutil.rmtree(self._paths.instance_socket(instance_id).parent, ignore_errors=True)
        log_path = self._paths.instance_log(instance_id)
        try:
            log_path.unlink(missing_ok=True)
            log_path.with_name(log_path.name + ".1").unlink(missing_ok=True)
        except OSError as error:
            # A log too many harms nobody.
            log.warning("%s stays: %s", log_path, error.strerror)

    def _rotate(self, instance_ids: Collection[str]) -> None:
        for instance_id in instance_ids:
            log_path = self._paths.instance_log(instance_id)
            try:
                rotate(log_path, self._log_limit_bytes)
            except OSError as error:
                # It is tried again and again, and takes nothing from the engines meanwhile.
                log.warning("%s grows on: %s", log_path, error.strerror)
