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

import msgspec

from hydra_box.config import Paths
from hydra_box.types import Accelerator, EngineName, Frozen, Runtime, RuntimeSource

ENGINE = EngineName.LLAMA_CPP
PROGRAM = "llama-server"
LAUNCHER = Path(__file__).with_name("xllamacpp_server.py")
BUNDLED_PACKAGE = "xllamacpp"

MANIFEST = "hydra-box-runtime.json"
"""In a built runtime's directory; written last, so that a directory without it is not a runtime."""

QUESTION_TIMEOUT_SECONDS = 20.0


class Manifest(Frozen, frozen=True, kw_only=True):
    """What is written down about a runtime that was built here."""

    version: str
    accelerator: Accelerator
    program: str
    """Relative to the directory, so that the directory may be moved."""
    built_at: float
    without: tuple[str, ...] = ()
    """CPU features that were left out, because they trapped."""


def runtime_id(source: RuntimeSource, version: str, accelerator: Accelerator) -> str:
    """The name of a runtime, the same at every start."""
    return f"{ENGINE}/{source}-{version}-{accelerator}"


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
            id=runtime_id(RuntimeSource.BUNDLED, version, Accelerator.CPU),
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
    found = []
    for file in sorted(directory.glob(f"*/{MANIFEST}")):
        try:
            manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
        except (OSError, msgspec.DecodeError):
            continue  # Not written by us to its end, so not a runtime.
        found.append(built_runtime(file.parent, manifest))
    return found


def built_runtime(directory: Path, manifest: Manifest) -> Runtime:
    """The runtime in ``directory``, as its manifest tells."""
    return Runtime(
        id=runtime_id(RuntimeSource.BUILT, manifest.version, manifest.accelerator),
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
        id=runtime_id(RuntimeSource.PATH, name, accelerator),
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
