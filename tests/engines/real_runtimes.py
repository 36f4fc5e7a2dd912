"""Real engines for tests, installed once a session as Hydra Box installs them.

llama.cpp is built, which takes six to nine minutes; vLLM's CPU build takes two minutes and three
gigabytes. ``TEST_ENGINES`` names a state directory that keeps both over sessions.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from hydra_box.catalog import DEMO_MODEL
from hydra_box.config import Paths, resolve_paths
from hydra_box.engines import ENGINES, llama_cpp_runtimes, vllm_runtimes
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.errors import EngineUnavailable
from hydra_box.store import Store
from hydra_box.types import EngineName, Runtime
from tests.told import Told

KEPT = "TEST_ENGINES"

NOT_TO_BE_HAD = ("cannot be reached", "the package registry has no", "there is no vllm")
"""What an installation says where a package cannot be had; anything else is a fault of ours."""

_FIND = {
    EngineName.LLAMA_CPP: llama_cpp_runtimes.find_built,
    EngineName.VLLM: vllm_runtimes.find_runtimes,
}


def installed(engine: EngineName, otherwise: Path) -> Runtime:
    """Install and verify an engine, unless it is kept already.

    Args:
        engine: which.
        otherwise: the state directory to install into, if none keeps engines.

    Raises:
        EngineUnavailable: it could not be installed.

    """
    paths = resolve_paths({"HYDRA_BOX_HOME": os.environ.get(KEPT) or str(otherwise)})
    paths.create()
    known = _FIND[engine](paths.engines / engine)
    return known[-1] if known else asyncio.run(_install(engine, paths))


def lend(runtime: Runtime, paths: Paths) -> None:
    """Make a runtime one of another box, which finds it as if it had installed it."""
    paths.engines.mkdir(parents=True, exist_ok=True)
    (paths.engines / runtime.engine).symlink_to(Path(runtime.location).parent)


def cannot_be_had(error: EngineUnavailable) -> bool:
    """Whether it is the machine that lacks the package, not the installation that failed."""
    return any(words in error.message for words in NOT_TO_BE_HAD)


async def _install(engine: EngineName, paths: Paths) -> Runtime:
    store = await Store.open(paths.database)
    try:
        runtimes = RuntimeManager(store, paths, ENGINES, DEMO_MODEL, record=Told())
        async for step in runtimes.install(engine):
            if step.line is not None:
                sys.stderr.write(f"{step.line}\n")
            if step.runtime is not None:
                return step.runtime
    finally:
        await store.close()
    raise AssertionError("the installation ended without a runtime")
