"""The installed program, run as a user would."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.boxes import PROGRAM, RunningBox

TIMEOUT_SECONDS = 180


def run(box: RunningBox, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``hydra-box <arguments>`` against a box; whatever its exit status."""
    return subprocess.run(
        (PROGRAM, *arguments),
        env=box.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def run_json(box: RunningBox, *arguments: str) -> dict[str, Any]:
    """The one object that ``hydra-box <arguments> --json`` prints; it must succeed."""
    done = run(box, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found
