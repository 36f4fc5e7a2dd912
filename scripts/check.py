#!/usr/bin/env python3
"""Set everything up and run every check, in order, up to the first that fails.

Needs only Python 3.11+ and pip: the tools go into ``.venv`` in the repository. The exit code is
that of the first check that failed; the last line is pytest's summary when all others passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("lint-imports",),
    ("pytest",),
)


def run(*argv: str) -> None:
    """Run one step in the repository, its output passed through; exit with its code if it fails."""
    print(f"$ {' '.join(argv)}", flush=True)
    # What the caller has set would change what is being checked.
    strangers = ("PYTEST_ADDOPTS", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    environ = {name: value for name, value in os.environ.items() if name not in strangers}
    code = subprocess.run((BIN / argv[0], *argv[1:]), cwd=ROOT, env=environ, check=False).returncode
    if code != 0:
        # A process that a signal ended has a negative code; a shell says 128 + signal.
        sys.exit(code if code > 0 else 128 - code)


def main() -> None:
    """Make the environment if there is none, then run the checks."""
    if sys.version_info < (3, 11):  # noqa: UP036  an older Python gets here, and a clear word
        sys.exit(f"Python {sys.version.split()[0]} is too old; hint: 3.11 or newer is needed")
    if not (BIN / "python").exists():
        print("$ python3 -m venv .venv", flush=True)
        subprocess.run((sys.executable, "-m", "venv", ROOT / ".venv"), check=True)
    run("pip", "install", "--quiet", "--disable-pip-version-check", "--editable", ".[test]")
    for check in CHECKS:
        run(*check)


if __name__ == "__main__":
    main()
