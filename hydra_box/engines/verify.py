"""Whether a runtime works: it is started on the demo model and has to answer."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

from hydra_box.config import Paths
from hydra_box.engines.base import Engine
from hydra_box.errors import HydraError
from hydra_box.process import EngineProcess, identity, read_last_process, spawn
from hydra_box.types import Frozen, Launch, ProcessExit, Runtime

DEMO_SAFETENSORS = Path(__file__).parents[1] / "assets" / "demo" / "hydra-box-demo-hf"
"""The demo model as a directory with safetensors, for the engines that read those."""

ACCESS_NAME = "public/verification"
LONGEST_SILENCE_SECONDS = 180.0
"""An engine that prints nothing for so long hangs; one that compiles for a GPU prints steps."""
PROBE_EVERY_SECONDS = 0.1
GRACE_SECONDS = 5.0


class Verdict(Frozen, frozen=True, kw_only=True):
    """What became of a verification."""

    problem: str | None = None
    """Why the runtime cannot be used; None: it answered."""
    exit: ProcessExit | None = None
    """How its process ended, if it ended by itself."""


async def verify(
    engine: Engine, runtime: Runtime, model: Path, device: str, paths: Paths
) -> Verdict:
    """Start ``runtime`` on ``model`` and ask it for a token; nothing of it is left afterwards."""
    directory = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="verify-", dir=paths.run))
    try:
        launch = Launch(
            instance_id=directory.name,
            access_name=ACCESS_NAME,
            model_path=str(model),
            socket_path=str(directory / "engine.sock"),
            device=device,
            options=engine.trial_options(runtime.accelerator),
        )
        return await _run(engine, runtime, launch, directory, paths.home)
    except HydraError as error:
        return Verdict(problem=str(error))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _run(
    engine: Engine, runtime: Runtime, launch: Launch, directory: Path, home: Path
) -> Verdict:
    command = engine.command(runtime, launch)
    log = directory / "engine.log"
    process = spawn(
        command.argv,
        env={**command.env, **identity(home, launch.instance_id)},
        cwd=directory,
        log_path=log,
    )
    try:
        exit = await _answers_or_ends(engine, process, Path(launch.socket_path), log)
    except TimeoutError:
        doing = engine.progress(read_last_process(log)) or "starting"
        silence = f"{LONGEST_SILENCE_SECONDS:.0f} s"
        return Verdict(problem=f"it hangs: it said nothing for {silence} while {doing}")
    finally:
        await process.stop(GRACE_SECONDS)
    if exit is None:
        return Verdict()
    return Verdict(problem=str(engine.explain_exit(exit, read_last_process(log))), exit=exit)


async def _answers_or_ends(
    engine: Engine, process: EngineProcess, socket_path: Path, log: Path
) -> ProcessExit | None:
    """None once it has answered; else how its process ended.

    Raises:
        TimeoutError: it hangs.

    """
    ending = asyncio.create_task(process.wait())
    loop = asyncio.get_running_loop()
    said_bytes, said_at = 0, loop.time()
    try:
        while not ending.done():
            async with asyncio.timeout(LONGEST_SILENCE_SECONDS):
                if await engine.probe(socket_path, ACCESS_NAME):
                    return None
            if (size := _size(log)) != said_bytes:
                said_bytes, said_at = size, loop.time()
            elif loop.time() - said_at > LONGEST_SILENCE_SECONDS:
                raise TimeoutError
            await asyncio.wait([ending], timeout=PROBE_EVERY_SECONDS)
        return ending.result()
    finally:
        ending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ending


def _size(log: Path) -> int:
    return log.stat().st_size
