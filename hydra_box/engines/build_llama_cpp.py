"""Builds llama.cpp for this machine: the sources inside the pinned ``llama-cpp-python``.

pip fetches them, checks their hash and builds them in a virtual environment of their own, which
then holds ``llama-server``. Where the flags come from: ``vendor/llama.cpp`` adds ``mtmd`` twice
unless LLAVA_BUILD is off, and leaves ``libllama-server-impl.so`` out unless its tools are
installed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

from hydra_box.engines.build_process import passed_on, run_step
from hydra_box.engines.cpu_features import cmake_options, compiler_flags
from hydra_box.engines.cuda_toolkit import find_nvcc
from hydra_box.engines.llama_cpp_runtimes import PROGRAM
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
        async with aclosing(run_step(argv, env, directory, options.log_path)) as lines:
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
    env = passed_on(environ)
    cmake = [*CMAKE_OPTIONS, *cmake_options(options.without)]
    if options.accelerator is Accelerator.CUDA:
        architectures = ";".join(options.gpu_architectures) or "native"
        cmake += ["-DGGML_CUDA=ON", f"-DCMAKE_CUDA_ARCHITECTURES={architectures}"]
        if "CUDACXX" not in env and (nvcc := find_nvcc(environ)):
            env["CUDACXX"] = nvcc
    env["CMAKE_ARGS"] = " ".join(cmake)
    env["CMAKE_BUILD_PARALLEL_LEVEL"] = str(options.jobs)
    if flags := " ".join(compiler_flags(options.without)):
        env["CFLAGS"] = env["CXXFLAGS"] = flags
    return env
