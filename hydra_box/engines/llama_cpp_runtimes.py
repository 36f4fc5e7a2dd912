"""Which runtimes of llama.cpp this machine has: bundled, built here, and on the PATH."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from hydra_box.config import Paths
from hydra_box.engines.manifest import Manifest, find_installed, runtime_id
from hydra_box.types import Accelerator, EngineName, Runtime, RuntimeSource

ENGINE = EngineName.LLAMA_CPP
PROGRAM = "llama-server"
LAUNCHER = Path(__file__).with_name("xllamacpp_server.py")
BUNDLED_PACKAGE = "xllamacpp"

QUESTION_TIMEOUT_SECONDS = 20.0


async def discover(paths: Paths, environ: Mapping[str, str]) -> list[Runtime]:
    """Every runtime of llama.cpp that is there now; none is known to work yet."""
    found = [*find_bundled(), *find_built(paths.engines / ENGINE)]
    on_path = await find_on_path(environ)
    return found if on_path is None else [*found, on_path]


def find_bundled() -> list[Runtime]:
    """The wheel that was installed with Hydra Box."""
    package = importlib.util.find_spec(BUNDLED_PACKAGE)
    if package is None or package.origin is None:
        return []
    version = importlib.metadata.version(BUNDLED_PACKAGE)
    return [
        Runtime(
            id=_id(RuntimeSource.BUNDLED, version, Accelerator.CPU),
            engine=ENGINE,
            version=version,
            accelerator=Accelerator.CPU,
            source=RuntimeSource.BUNDLED,
            location=str(Path(package.origin).parent),
            # -P: the launcher's own directory must not be searched for modules.
            argv=(sys.executable, "-P", str(LAUNCHER)),
        )
    ]


def find_built(directory: Path) -> list[Runtime]:
    """The runtimes in the directories under ``directory``."""
    return [built_runtime(where, manifest) for where, manifest in find_installed(directory)]


def built_runtime(directory: Path, manifest: Manifest) -> Runtime:
    """The runtime in ``directory``, as its manifest tells."""
    return Runtime(
        id=_id(RuntimeSource.BUILT, manifest.version, manifest.accelerator),
        engine=ENGINE,
        version=manifest.version,
        accelerator=manifest.accelerator,
        source=RuntimeSource.BUILT,
        location=str(directory),
        argv=(str(directory / manifest.program),),
    )


async def find_on_path(environ: Mapping[str, str]) -> Runtime | None:
    """The ``llama-server`` that a shell would start."""
    program = shutil.which(PROGRAM, path=environ.get("PATH", ""))
    if program is None:
        return None
    said = await _ask(program, "--version", environ)
    # "version: 6710 (a23b9bd)", or "version: 0.5.0-dev (build 1, commit 0c1e570)".
    version = re.search(r"version: (\S+)", said)
    devices = await _ask(program, "--list-devices", environ)
    accelerator = Accelerator.CUDA if re.search(r"\bCUDA\d", devices) else Accelerator.CPU
    name = re.sub(r"[^\w.+-]", "-", version[1]) if version else "unknown"
    return Runtime(
        id=_id(RuntimeSource.PATH, name, accelerator),
        engine=ENGINE,
        version=name,
        accelerator=accelerator,
        source=RuntimeSource.PATH,
        location=program,
        argv=(program,),
    )


async def _ask(program: str, question: str, environ: Mapping[str, str]) -> str:
    """What a program prints when it is started with one flag; empty if it cannot be asked."""
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            question,
            env=dict(environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError:
        return ""  # Its verification will say what is wrong with it.
    try:
        async with asyncio.timeout(QUESTION_TIMEOUT_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        said = b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said.decode(errors="replace")


def changed_at(runtime: Runtime) -> float:
    """When the files of the runtime last changed, Unix time in seconds; 0 if they are gone."""
    if runtime.source is RuntimeSource.BUNDLED:
        files = [*Path(runtime.location).glob("*.so"), LAUNCHER]
    else:
        files = [Path(runtime.argv[0])]
    # The inode's time, because package managers set the modification time to that of the build.
    return max((file.stat().st_ctime for file in files if file.exists()), default=0.0)


def _id(source: RuntimeSource, version: str, accelerator: Accelerator) -> str:
    return runtime_id(ENGINE, source, version, accelerator)
