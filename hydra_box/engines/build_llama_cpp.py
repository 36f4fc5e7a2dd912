"""Builds llama.cpp for this machine: the sources inside the pinned ``llama-cpp-python``.

pip fetches them, checks their hash and builds them in a virtual environment of their own, which
then holds ``llama-server``. Where the flags come from: ``vendor/llama.cpp`` adds ``mtmd`` twice
unless LLAVA_BUILD is off, and leaves ``libllama-server-impl.so`` out unless its tools are
installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

from hydra_box.engines.build_failures import explain_failure
from hydra_box.engines.cpu_features import cmake_options, compiler_flags
from hydra_box.engines.discover import PROGRAM
from hydra_box.errors import EngineUnavailable
from hydra_box.types import Accelerator, Frozen

PACKAGE = "llama-cpp-python"
VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"

NEEDED_BYTES = {Accelerator.CPU: 1_000_000_000, Accelerator.CUDA: 6_000_000_000}
"""Free disk to ask for: a CPU build was measured at 0.4 GB, CUDA kernels take several."""
BYTES_PER_JOB = 1_500_000_000
"""Memory that one compiler needs at its worst file."""

CMAKE_OPTIONS = (
    "-DLLAVA_BUILD=OFF",
    "-DLLAMA_BUILD_TOOLS=ON",
    "-DLLAMA_BUILD_SERVER=ON",
    "-DLLAMA_TOOLS_INSTALL=ON",
    "-DGGML_NATIVE=ON",
    "-DCMAKE_INSTALL_RPATH=$ORIGIN;$ORIGIN/../lib",
)

COMPILERS = ("c++", "g++", "clang++")
PASSED_ON = re.compile(
    r"PATH|HOME|CC|CXX|CUDACXX|CUDAHOSTCXX|CUDA_HOME|CUDA_PATH|LD_LIBRARY_PATH"
    r"|(?i:https?_proxy|no_proxy|all_proxy)|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|PIP_.*"
)
"""What the build gets of the environment: the toolchain and the way to the registry."""

LOG_NAME = "build.log"
KEPT_LINES = 400
LONGEST_LINE = 300
GRACE_SECONDS = 5.0
READ_LIMIT_BYTES = 1024 * 1024

_STEP = re.compile(r"\s*(?P<number>\[\d+/\d+\]) .* -o (?:\S*/)?(?P<made>\S+)")


class BuildOptions(Frozen, frozen=True, kw_only=True):
    """What to build."""

    directory: Path
    """Where the environment is made; must not exist."""
    accelerator: Accelerator
    gpu_architectures: tuple[str, ...] = ()
    """Compute capabilities without the dot: ``90``."""
    without: tuple[str, ...] = ()
    """Names of CPU features to leave out."""
    jobs: int = 1
    log_path: Path
    """Everything that the build prints."""


def check_toolchain(environ: Mapping[str, str]) -> None:
    """Look for what a build cannot do without.

    Raises:
        EngineUnavailable: there is no C++ compiler.

    """
    path = environ.get("PATH", "")
    named = [environ["CXX"].split()[0]] if environ.get("CXX") else []
    if not any(shutil.which(name, path=path) for name in (*named, *COMPILERS)):
        raise EngineUnavailable(
            f"no C++ compiler was found (looked for {', '.join((*named, *COMPILERS))})",
            hint="Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++",
        )


def check_disk(directory: Path, accelerator: Accelerator) -> None:
    """Look whether the build fits on the disk.

    Raises:
        EngineUnavailable: it does not.

    """
    free, needed = shutil.disk_usage(directory).free, NEEDED_BYTES[accelerator]
    if free < needed:
        raise EngineUnavailable(
            f"the build needs {needed / 2**30:.1f} GiB of disk; {directory} has "
            f"{free / 2**30:.1f} GiB free",
            hint="free some space, or set HYDRA_BOX_HOME to a larger disk",
        )


def jobs(ram_available_bytes: int) -> int:
    """How many compilers to run at once: one for each core, if the memory allows."""
    return max(1, min(len(os.sched_getaffinity(0)), ram_available_bytes // BYTES_PER_JOB))


async def build(options: BuildOptions, environ: Mapping[str, str]) -> AsyncGenerator[str, None]:
    """Build; yields what it prints, a line at a time.

    Closing the generator ends the build and every process of it.

    Raises:
        EngineUnavailable: it failed, with what was missing.

    """
    directory = options.directory
    temporary = directory / "tmp"
    temporary.mkdir(parents=True)
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
    pip = (str(directory / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    install = ("install", "-v", "--no-input", "--no-deps", "--no-cache-dir", "--require-hashes")
    steps = (
        (sys.executable, "-m", "venv", str(directory)),
        (*pip, *install, "--no-binary", PACKAGE, "-r", str(requirements)),
    )
    env = build_environment(options, environ) | {"TMPDIR": str(temporary)}
    for argv in steps:
        async with aclosing(_run(argv, env, directory, options.log_path)) as lines:
            async for line in lines:
                yield line
    shutil.rmtree(temporary, ignore_errors=True)


def program(directory: Path) -> Path:
    """The ``llama-server`` of a finished build.

    Raises:
        EngineUnavailable: the build did not make one.

    """
    for found in sorted(directory.glob(f"lib/python*/site-packages/bin/{PROGRAM}")):
        return found
    raise EngineUnavailable(f"the build ended well, but made no {PROGRAM}")


def build_environment(options: BuildOptions, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that pip, CMake and the compilers run in."""
    env = {name: value for name, value in environ.items() if PASSED_ON.fullmatch(name)}
    cmake = [*CMAKE_OPTIONS, *cmake_options(options.without)]
    if options.accelerator is Accelerator.CUDA:
        architectures = ";".join(options.gpu_architectures) or "native"
        cmake += ["-DGGML_CUDA=ON", f"-DCMAKE_CUDA_ARCHITECTURES={architectures}"]
    env["CMAKE_ARGS"] = " ".join(cmake)
    env["CMAKE_BUILD_PARALLEL_LEVEL"] = str(options.jobs)
    if flags := " ".join(compiler_flags(options.without)):
        env["CFLAGS"] = env["CXXFLAGS"] = flags
    env["LANG"] = "C.UTF-8"
    return env


async def _run(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path, log_path: Path
) -> AsyncGenerator[str, None]:
    # Engines that serve must not feel the build.
    nice = ("nice", "-n", "10") if shutil.which("nice") else ()
    process = await asyncio.create_subprocess_exec(
        *nice,
        *argv,
        env=dict(env),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=READ_LIMIT_BYTES,
    )
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    try:
        assert process.stdout is not None  # noqa: S101  asked for above
        with log_path.open("a", encoding="utf-8") as log:
            async for raw in process.stdout:
                line = raw.decode(errors="replace").rstrip()
                log.write(line + "\n")
                tail.append(line)
                yield shorten(line)
        status = await process.wait()
    finally:
        await _end(process)
    if status != 0:
        raise explain_failure(status, tail, log_path)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the whole process group: pip's children would go on compiling.

    SIGTERM first, because ninja puts its compilers into groups of their own and ends them itself.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None and process.stdout and process.stdout.at_eof():
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await _output_ends(process)


async def _output_ends(process: asyncio.subprocess.Process) -> None:
    # asyncio tells of an exit only once the output was read to its end.
    if process.stdout is not None:
        await process.stdout.read()
    await process.wait()


def shorten(line: str) -> str:
    """A line for people: a compiler's command becomes its number and its file."""
    step = _STEP.match(line)
    if step is None:
        return line.strip()[:LONGEST_LINE]
    return f"{step['number']} {step['made'].removesuffix('.o')}"
