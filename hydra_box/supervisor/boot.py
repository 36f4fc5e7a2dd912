"""From a service's desired state to an engine process that has answered a real request."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hydra_box.config import Paths, Settings
from hydra_box.corrections import Corrections
from hydra_box.engines.base import Engine
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.errors import DoesNotFit, EngineError, EngineUnavailable
from hydra_box.library import Library
from hydra_box.measure import holding, measured, tree, work_done
from hydra_box.placer import Placer, accept, ask_for, offer_of
from hydra_box.plan.availability import available_bytes
from hydra_box.plan.gpu_loss import waits_for_gpu
from hydra_box.plan.ways import outdated
from hydra_box.process import EngineProcess, identity, read_last_process, spawn
from hydra_box.types import (
    Correction,
    EngineName,
    Instance,
    Launch,
    Machine,
    MeasuredMemory,
    Placement,
    Plan,
    Service,
)

FIRST_PROBE_SECONDS = 0.05
LONGEST_PROBE_SECONDS = 1.0
LOADED_STALL_SECONDS = 20.0
"""How long an engine may do nothing that has loaded its model and has a request to answer."""
WHOLE_START_BYTES = 1024 * 1024
"""Of a log: enough for everything that an engine prints while it loads."""


class Boot:
    """Starts engine processes, and knows when one serves and when one hangs."""

    def __init__(
        self,
        *,
        runtimes: RuntimeManager,
        placer: Placer,
        corrections: Corrections,
        engines: Mapping[EngineName, Engine],
        paths: Paths,
        settings: Settings,
        library: Library,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtimes = runtimes
        self._placer = placer
        self._corrections = corrections
        self._engines = engines
        self._paths = paths
        self._settings = settings
        self._library = library
        self._monotonic = monotonic

    async def place(self, service: Service, instances: Sequence[Instance]) -> Placement:
        """Where and how a new instance of a service runs, beside the ``instances`` there are.

        Raises:
            DoesNotFit: there is no room for it now.
            InvalidModel: its files cannot be read any more.
        """
        offer = await asyncio.to_thread(offer_of, service)
        ours = [
            one for one in instances if one.service_id == service.id and one.placement is not None
        ]
        placed, replaced = len(ours), outdated(service, ours, self._runtimes.pins())
        # All that are missing are placed together, so that the first leaves room for the others;
        # where they do not fit together any more, this one alone may.
        missing = max(1, service.desired_instances - placed)
        for wanted in (missing, 1):
            ask = ask_for(service, instances=wanted, running=placed)
            if replaced:
                decision = await self._placer.place_beside(ask, (offer,), instances, service.id)
            else:
                decision = await self._placer.place(ask, (offer,), instances)
            if isinstance(decision.result, Plan):
                break
        if waits := waits_for_gpu(service, decision.situation.machine):
            raise DoesNotFit(
                waits,
                hint="hydra-box gpus tells more; to have it on the CPU meanwhile: "
                f"hydra-box edit {service.name} --device cpu",
            )
        return accept(decision.result).placements[0]

    async def free(self, instances: Sequence[Instance]) -> tuple[Machine, dict[str, int]]:
        """What there is, and device to bytes that are free for one beside these ``instances``."""
        situation = await self._placer.look(instances)
        return situation.machine, available_bytes(situation.machine, situation.claims)

    async def start(
        self, service: Service, instance_id: str, placement: Placement
    ) -> tuple[EngineProcess, Launch, str]:
        """Start an instance's process where it was placed.

        Returns:
            The process, what it was asked to serve, and the id of the runtime it runs on.

        Raises:
            EngineUnavailable: no runtime works, or the program cannot be started.
        """
        runtime = await self._runtimes.best(placement.engine, placement.accelerator)
        may_sleep = service.idle_timeout_seconds is not None
        launch = self.launch(service, instance_id, placement, may_sleep=may_sleep)
        socket_path = Path(launch.socket_path)
        command = self._engines[service.engine].command(runtime, launch)
        _make_anew(socket_path.parent)
        await self._library.touch(service.model_path)
        process = spawn(
            command.argv,
            env={**command.env, **identity(self._paths.home, instance_id)},
            cwd=socket_path.parent,
            log_path=self._paths.instance_log(instance_id),
        )
        return process, launch, runtime.id

    def launch(
        self, service: Service, instance_id: str, placement: Placement, *, may_sleep: bool
    ) -> Launch:
        """What an instance's process is asked to serve, and where it answers."""
        return Launch(
            instance_id=instance_id,
            access_name=service.access_name,
            model_path=service.model_path,
            socket_path=str(self._paths.instance_socket(instance_id)),
            device=placement.device,
            options=placement.options,
            allows_code=service.allows_code,
            may_sleep=may_sleep,
        )

    async def measure(
        self, service: Service, instance: Instance
    ) -> tuple[tuple[MeasuredMemory, ...], Correction | None]:
        """What a ready instance really takes, and what that teaches for the next plan."""
        if instance.placement is None or instance.pid is None:
            return (), None
        machine = (await self._placer.look(())).machine
        holds = await asyncio.to_thread(holding, instance.pid)
        log = await asyncio.to_thread(
            read_last_process, self._paths.instance_log(instance.id), WHOLE_START_BYTES
        )
        report = self._engines[service.engine].report(log)
        found = measured(instance, holds, machine, report)
        return found, self._corrections.learn(instance.placement, found)

    async def until_ready(
        self, service: Service, launch: Launch, process: EngineProcess, *, loaded: bool = False
    ) -> None:
        """Return once the process has answered a real one-token request.

        There is no limit on how long a model may load, only on how long it may do nothing. One
        that has ``loaded`` it before may still work on requests that nobody waits for any more.

        Raises:
            EngineError: it answered wrongly, or did nothing for too long.
        """
        engine = self._engines[service.engine]
        log_path = self._paths.instance_log(launch.instance_id)
        pause, seen, seen_at = FIRST_PROBE_SECONDS, 0.0, self._monotonic()
        limit = self._settings.load_stall_seconds
        doing = "while loading"
        if loaded:
            limit, doing = min(limit, LOADED_STALL_SECONDS), "when asked whether it still serves"
        while not await self._probe(engine, launch, limit):
            work = await asyncio.to_thread(_work_done, process.pid, log_path)
            if work > seen:
                seen, seen_at = work, self._monotonic()
            elif self._monotonic() - seen_at > limit:
                raise EngineError(
                    f"the engine hangs: it did nothing for {limit:g} s {doing}",
                    hint=f"hydra-box logs {service.name} --instance {launch.instance_id}",
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PROBE_SECONDS)

    async def _probe(self, engine: Engine, launch: Launch, limit: float) -> bool:
        """One probe; an engine that takes the request and never answers counts as loading."""
        try:
            async with asyncio.timeout(limit):
                return await engine.probe(Path(launch.socket_path), launch.access_name)
        except TimeoutError:
            return False


def _make_anew(directory: Path) -> None:
    """Make an empty directory in the place of what is there.

    Raises:
        EngineUnavailable: the disk does not let it: it is full, or cannot be written.
    """
    try:
        if directory.exists():
            shutil.rmtree(directory)
        directory.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise EngineUnavailable(
            f"{directory}, for the engine's socket, cannot be made: {error.strerror}",
            hint="hydra-box doctor looks at the disk and at permissions",
        ) from error


def _work_done(pid: int, log_path: Path) -> float:
    """A number that grows while an engine works: CPU seconds, bytes read, bytes logged. Blocking.

    Its workers count: vLLM's first process only waits for them.
    """
    done = work_done(tree(pid))
    logged = log_path.stat().st_size if log_path.exists() else 0
    # A process that only waits still wakes now and then: count whole tenths of a second.
    return int(done.cpu_seconds * 10) + done.read_bytes + logged
