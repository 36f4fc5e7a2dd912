"""From a service's desired state to an engine process that has answered a real request."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from hydra_box.config import Paths, Settings
from hydra_box.engines.base import Engine
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.errors import EngineError
from hydra_box.hardware import snapshot
from hydra_box.plan.devices import choose_device
from hydra_box.process import EngineProcess, identity, spawn
from hydra_box.types import EngineName, Launch, Service

FIRST_PROBE_SECONDS = 0.05
LONGEST_PROBE_SECONDS = 1.0


class Boot:
    """Starts engine processes, and knows when one serves and when one hangs."""

    def __init__(
        self,
        *,
        runtimes: RuntimeManager,
        engines: Mapping[EngineName, Engine],
        paths: Paths,
        settings: Settings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtimes = runtimes
        self._engines = engines
        self._paths = paths
        self._settings = settings
        self._monotonic = monotonic

    async def start(
        self, service: Service, instance_id: str, in_use: Sequence[str]
    ) -> tuple[EngineProcess, Launch, str]:
        """Start an instance's process on a device of its own choice.

        Args:
            service: what it shall serve.
            instance_id: names its socket, its log and its process.
            in_use: the device of every instance that has a process.

        Returns:
            The process, what it was asked to serve, and the id of the runtime it runs on.

        Raises:
            EngineUnavailable: no runtime, no device, or the program cannot be started.
        """
        runtime = await self._runtimes.best(service.engine)
        machine = await asyncio.to_thread(snapshot, self._paths.home)
        socket_path = self._paths.instance_socket(instance_id)
        launch = Launch(
            instance_id=instance_id,
            access_name=service.access_name,
            model_path=service.model_path,
            socket_path=str(socket_path),
            context_length=service.context_length,
            slots=service.slots,
            device=choose_device(machine, runtime.accelerator, in_use),
        )
        command = self._engines[service.engine].command(runtime, launch)
        shutil.rmtree(socket_path.parent, ignore_errors=True)
        socket_path.parent.mkdir(mode=0o700, parents=True)
        process = spawn(
            command.argv,
            env={**command.env, **identity(self._paths.home, instance_id)},
            cwd=socket_path.parent,
            log_path=self._paths.instance_log(instance_id),
        )
        return process, launch, runtime.id

    async def until_ready(self, service: Service, launch: Launch, process: EngineProcess) -> None:
        """Return once the process has answered a real one-token request.

        There is no limit on how long a model may load, only on how long it may do nothing.

        Raises:
            EngineError: it answered wrongly, or did nothing for ``load_stall_seconds``.
        """
        engine = self._engines[service.engine]
        log_path = self._paths.instance_log(launch.instance_id)
        pause, seen, seen_at = FIRST_PROBE_SECONDS, 0.0, self._monotonic()
        limit = self._settings.load_stall_seconds
        while not await self._probe(engine, launch):
            work = _work_done(process.pid, log_path)
            if work > seen:
                seen, seen_at = work, self._monotonic()
            elif self._monotonic() - seen_at > limit:
                raise EngineError(
                    f"the engine hangs: it did nothing for {limit:g} s while loading",
                    hint=f"hydra-box logs {service.name} --instance {launch.instance_id}",
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PROBE_SECONDS)

    async def _probe(self, engine: Engine, launch: Launch) -> bool:
        """One probe; an engine that takes the request and never answers counts as loading."""
        try:
            async with asyncio.timeout(self._settings.load_stall_seconds):
                return await engine.probe(Path(launch.socket_path), launch.access_name)
        except TimeoutError:
            return False


def _work_done(pid: int, log_path: Path) -> float:
    """A number that grows while a process works: CPU seconds, bytes read, bytes logged."""
    try:
        process = psutil.Process(pid)
        cpu = process.cpu_times()
        read_bytes = process.io_counters().read_bytes
        # A process that only waits still wakes now and then: count whole tenths of a second.
        return int((cpu.user + cpu.system) * 10) + read_bytes + log_path.stat().st_size
    except (psutil.Error, OSError):
        return 0.0
