"""One step of an installation: a program whose lines are told, kept in a log and understood."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from hydra_box.engines.build_failures import explain_failure
from hydra_box.errors import EngineUnavailable

PASSED_ON = re.compile(
    r"PATH|HOME|CC|CXX|CUDACXX|CUDAHOSTCXX|CUDA_HOME|CUDA_PATH|LD_LIBRARY_PATH"
    r"|(?i:https?_proxy|no_proxy|all_proxy)|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|PIP_.*"
)
"""What a step gets of the environment: the toolchain and the way to the registry."""

KEPT_LINES = 400
LONGEST_LINE = 300
GRACE_SECONDS = 5.0
READ_LIMIT_BYTES = 1024 * 1024

_STEP = re.compile(r"\s*(?P<number>\[\d+/\d+\]) .* -o (?:\S*/)?(?P<made>\S+)")


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a step, to which an installer adds its own."""
    env = {name: value for name, value in environ.items() if PASSED_ON.fullmatch(name)}
    return env | {"LANG": "C.UTF-8"}


def check_free_disk(directory: Path, needed_bytes: int) -> None:
    """Look whether an installation fits on the disk.

    Raises:
        EngineUnavailable: it does not.

    """
    free = shutil.disk_usage(directory).free
    if free < needed_bytes:
        raise EngineUnavailable(
            f"the installation needs {needed_bytes / 2**30:.1f} GiB of disk; {directory} has "
            f"{free / 2**30:.1f} GiB free",
            hint="free some space, or set HYDRA_BOX_HOME to a larger disk",
        )


async def run_step(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path, log_path: Path
) -> AsyncGenerator[str, None]:
    """Run a program to its end; yields what it prints, a line at a time.

    Closing the generator ends the program and every process of it.

    Raises:
        EngineUnavailable: it failed, with what was missing.

    """
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
