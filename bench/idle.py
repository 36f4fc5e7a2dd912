"""What the appliance costs while nobody uses it: ``.venv/bin/python -m bench.idle``.

Prints the daemon's start time, its memory and CPU without and with a service, and how long
``hydra-box --help`` takes beside a bare Python. Takes about a minute.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from hydra_box.messages import DeployRequest
from tests.boxes import PROGRAM, RunningBox
from tests.waiting import eventually

MIB = 1024 * 1024
OBSERVED_SECONDS = 15.0
RUNS = 15


def main() -> None:
    bare = median_seconds((sys.executable, "-c", "pass"))
    helped = median_seconds((str(PROGRAM), "--help"))
    print(f"python -c pass          {bare * 1000:8.0f} ms")
    print(f"hydra-box --help        {helped * 1000:8.0f} ms   {helped / bare:.1f}x a bare Python")
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as directory:
        began = time.monotonic()
        box = RunningBox(Path(directory) / "home", {})
        try:
            print(f"first start, to answer  {(time.monotonic() - began) * 1000:8.0f} ms")
            # A first start verifies the bundled runtime in the background.
            daemon = psutil.Process(box.process.pid)
            eventually(lambda: not daemon.children(), 60, what="the runtimes are verified")
            observe(box, "idle, no service")
            began = time.monotonic()
            box.deploy(DeployRequest(model="demo", name="demo"))
            print(f"deploy demo, to RUNNING {(time.monotonic() - began) * 1000:8.0f} ms")
            observe(box, "idle, one service")
            began = time.monotonic()
        finally:
            code = box.stop()
        print(f"stop                    {(time.monotonic() - began) * 1000:8.0f} ms   exit {code}")


def median_seconds(argv: Sequence[str]) -> float:
    """How long the program takes from start to end; the median of some runs after a first one."""
    times = []
    for _ in range(RUNS + 1):
        began = time.monotonic()
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
        times.append(time.monotonic() - began)
    return statistics.median(times[1:])


def observe(box: RunningBox, label: str) -> None:
    """Print memory and CPU of the daemon, and apart of its engines, over some seconds."""
    daemon = psutil.Process(box.process.pid)
    engines = daemon.children(recursive=True)
    for name, processes in ((f"daemon, {label}", [daemon]), ("  its engines", engines)):
        if not processes:
            continue
        before = sum(cpu_seconds(process) for process in processes)
        time.sleep(OBSERVED_SECONDS)
        used = sum(cpu_seconds(process) for process in processes) - before
        rss = sum(process.memory_info().rss for process in processes)
        percent = 100 * used / OBSERVED_SECONDS
        print(f"{name:<32} {rss / MIB:6.1f} MiB resident, {percent:.2f} % of one core")


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
