"""What the console costs and how soon it answers a key: ``.venv/bin/python -m bench.console``.

A box with 200 services that all change every second (``busy_box.py``), and a console on it in a
real terminal of 140x40: how soon a typed letter is on the screen, at home and in a trial while four
answers stream at 50 tokens/s each; beside them the same with nothing else to do. Then the CPU
that an open console takes. Takes about three minutes.
"""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.busy_box import serve
from bench.pseudo_terminal import Screen, on_a_terminal
from hydra_box.messages import DeployRequest
from tests.boxes import RunningBox

SIZE = (140, 40)
SERVICES = 200
LETTER = "ж"
"""No program writes it by itself."""
DOWN = "\x1b[B"
COMPARE = "\x07"
PRESSES = 200
OBSERVED_SECONDS = 20.0


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as directory:
        quiet = at_home(directory, services=1)
        busy = at_home(directory, services=SERVICES)
        streaming = in_trial(directory)
        print(f"{'key press to screen, ms':<44}    p50     p95     max")
        tell("home, 1 service that changes every second", quiet, quiet)
        tell(f"home, {SERVICES} services that all change", busy, quiet)
        tell(f"trial, 4 answers and {SERVICES} services", streaming, quiet)
        idle(directory)


def at_home(directory: str, services: int) -> list[float]:
    """Letters into the filter."""
    with busy_box(services) as url, console(directory, url) as screen:
        screen.wait_for("service-000")
        screen.press("/")
        time.sleep(1.0)
        return presses(screen)


def in_trial(directory: str) -> list[float]:
    """Letters into the prompt, while the trial below it and three beside each other stream."""
    with busy_box(SERVICES) as url, console(directory, url) as screen:
        screen.wait_for("service-000")
        open_four_trials(screen)
        before = screen.written_bytes()
        time.sleep(2.0)
        print(f"it writes {(screen.written_bytes() - before) / 2048:.0f} KiB/s to the terminal")
        return presses(screen)


def open_four_trials(screen: Screen) -> None:
    """A trial that streams, and on top of it one that compares three services."""
    steps = ("t", "hello\r", "\x10", "service service-150", DOWN, "\r", "t")
    for keys in (*steps, COMPARE, " ", "j", " ", "\r", "hello\r"):
        screen.press(keys)
        time.sleep(1.0)
    screen.wait_for("beside")


def presses(screen: Screen) -> list[float]:
    """Seconds to the screen, one letter after the other, each wiped before the next."""
    times = []
    for _ in range(PRESSES):
        times.append(screen.seconds_to_show(LETTER))
        screen.press("\x7f")
        time.sleep(0.05)
    return times


def tell(what: str, times: Sequence[float], beside: Sequence[float]) -> None:
    p50, p95, most = (value * 1000 for value in figures(times))
    ratio = figures(times)[1] / figures(beside)[1]
    print(f"{what:<44} {p50:6.1f}  {p95:6.1f}  {most:6.1f}   p95 {ratio:.1f}x the first")


def figures(times: Sequence[float]) -> tuple[float, float, float]:
    """Median, 95th percentile, and the longest."""
    return statistics.median(times), statistics.quantiles(times, n=20)[-1], max(times)


def idle(directory: str) -> None:
    """The CPU of a console on a real box that does nothing."""
    box = RunningBox(Path(directory) / "box", {})
    try:
        box.deploy(DeployRequest(model="demo", name="demo", device="cpu"))
        with on_a_terminal((), {"HYDRA_BOX_HOME": str(box.home)}, SIZE) as screen:
            screen.wait_for("RUNNING")
            print(f"idle console, 1 service: {cpu_percent(screen.pid):5.1f} % of a core")
    finally:
        box.stop()
    with busy_box(SERVICES) as url, console(directory, url) as screen:
        screen.wait_for("service-000")
        print(f"console, {SERVICES} that change: {cpu_percent(screen.pid):5.1f} % of a core")


def cpu_percent(pid: int) -> float:
    """Of one core, over a while after a moment to settle."""
    process = psutil.Process(pid)
    time.sleep(3.0)
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(OBSERVED_SECONDS)
    after = process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return 100 * spent / (time.monotonic() - began)


@contextmanager
def busy_box(services: int) -> Iterator[str]:
    """The URL of a busy box in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, services))
    process.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        # It has nothing to lose, and much to say about clients that leave.
        process.kill()
        process.join()


@contextmanager
def console(directory: str, url: str) -> Iterator[Screen]:
    """A console on the box at that URL."""
    with on_a_terminal(("--url", url), {"HYDRA_BOX_HOME": f"{directory}/home"}, SIZE) as screen:
        yield screen


if __name__ == "__main__":
    main()
