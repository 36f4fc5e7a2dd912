"""What is written down in the directory of a runtime that was installed here."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from hydra_box.types import Accelerator, EngineName, Frozen, RuntimeSource

MANIFEST = "hydra-box-runtime.json"
"""Written last, so that a directory without it is not a runtime."""


class Manifest(Frozen, frozen=True, kw_only=True):
    """What is known of a runtime that was installed here."""

    version: str
    accelerator: Accelerator
    program: str
    """Relative to the directory, so that the directory may be moved."""
    built_at: float
    without: tuple[str, ...] = ()
    """CPU features that were left out, because they trapped."""


def runtime_id(
    engine: EngineName, source: RuntimeSource, version: str, accelerator: Accelerator
) -> str:
    """The name of a runtime, the same at every start."""
    return f"{engine}/{source}-{version}-{accelerator}"


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Make the directory a runtime."""
    (directory / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def find_installed(directory: Path) -> Iterator[tuple[Path, Manifest]]:
    """The runtimes in the directories under ``directory``."""
    for file in sorted(directory.glob(f"*/{MANIFEST}")):
        try:
            manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
        except (OSError, msgspec.DecodeError):
            continue  # Not written by us to its end, so not a runtime.
        yield file.parent, manifest


def is_in_use(directory: Path) -> bool:
    """Whether a process runs a program of the directory; blocking."""
    inside = f"{directory}/"
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if (argv := process.cmdline()) and argv[0].startswith(inside):
                return True
    return False


async def remove_directory(directory: Path) -> None:
    """Remove a directory with all that is in it; one that is not there is fine."""
    with contextlib.suppress(FileNotFoundError):
        await asyncio.to_thread(shutil.rmtree, directory)
