"""What an engine process gets of the daemon's environment, and which GPUs it sees."""

from __future__ import annotations

from collections.abc import Mapping

PASSED_ON = ("HOME", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
"""What an engine gets of the daemon's environment, where it is set: libraries and caches."""


def engine_environment(environ: Mapping[str, str], device: str) -> dict[str, str]:
    """The environment of an engine on ``device``: ``cpu``, or UUIDs joined by commas."""
    env = {name: environ[name] for name in PASSED_ON if name in environ}
    env["LANG"] = "C.UTF-8"
    # Threads that spin while they wait for each other take the cores from those they wait
    # for: two engines on two busy cores were measured 100 times slower than with this.
    env["OMP_WAIT_POLICY"] = "PASSIVE"
    env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    env["CUDA_VISIBLE_DEVICES"] = "" if device == "cpu" else device
    return env
