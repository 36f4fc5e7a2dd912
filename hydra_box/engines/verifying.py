"""Runtimes being verified: each once, however many wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from hydra_box.config import Paths
from hydra_box.engines.base import Engine
from hydra_box.engines.known_runtimes import KnownRuntimes
from hydra_box.engines.security import known_hole
from hydra_box.engines.verify import DEMO_SAFETENSORS, Verdict, verify
from hydra_box.hardware import snapshot
from hydra_box.journal import Record
from hydra_box.types import Accelerator, EngineName, Runtime, Severity, WeightFormat


class Verifications:
    """Starts runtimes on the demo model, and notes what became of them."""

    def __init__(
        self,
        known: KnownRuntimes,
        paths: Paths,
        engines: Mapping[EngineName, Engine],
        demo_model: Path,
        *,
        record: Record,
        clock: Callable[[], float],
    ) -> None:
        self._known = known
        self._paths = paths
        self._engines = engines
        self._demo_models = {
            WeightFormat.GGUF: demo_model,
            WeightFormat.SAFETENSORS: DEMO_SAFETENSORS,
        }
        self._record = record
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[Runtime]] = {}

    def under_way(self, runtime_id: str) -> bool:
        """Whether a runtime is being verified now."""
        return runtime_id in self._tasks

    def start(self, runtime: Runtime) -> asyncio.Task[Runtime]:
        """Verify a runtime; one that is being verified already is joined."""
        if runtime.id not in self._tasks:
            task = asyncio.create_task(self._verify(runtime))
            self._tasks[runtime.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(runtime.id))
        return self._tasks[runtime.id]

    async def attempt(self, runtime: Runtime) -> Verdict:
        """Whether a runtime answers here; nothing is noted."""
        if hole := known_hole(runtime):
            return Verdict(problem=hole)
        device = "cpu"
        if runtime.accelerator is Accelerator.CUDA:
            machine = await asyncio.to_thread(snapshot, self._paths.home)
            if not machine.gpus:
                return Verdict(problem=f"it computes on a GPU: {machine.gpu_message}")
            device = machine.gpus[0].uuid
        engine = self._engines[runtime.engine]
        model = self._demo_models[engine.format]
        return await verify(engine, runtime, model, device, self._paths)

    async def _verify(self, runtime: Runtime) -> Runtime:
        started_at = self._clock()
        verdict = await self.attempt(runtime)
        outcome = msgspec.structs.replace(
            self._known.find(runtime.id) or runtime,
            verified_at=started_at if verdict.problem is None else None,
            problem=verdict.problem,
        )
        await self._known.keep(outcome)
        works = verdict.problem is None
        told = "works: it has answered" if works else f"cannot be used: {verdict.problem}"
        severity = Severity.INFO if works else Severity.WARNING
        self._record("engine.verified", f"{runtime.id} {told}", severity=severity)
        return outcome
