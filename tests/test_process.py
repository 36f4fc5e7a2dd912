"""A process, its group, its log and its leftovers; all real."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from hydra_box.errors import EngineUnavailable
from hydra_box.process import (
    EngineProcess,
    find_leftovers,
    identity,
    read_last_process,
    read_tail,
    reap_leftovers,
    rotate,
    spawn,
)
from hydra_box.types import ProcessExit
from tests.waiting import eventually

IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: time.sleep(60)
"""

HAS_A_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""


def start(code: str, tmp_path: Path, env: dict[str, str] | None = None) -> EngineProcess:
    return spawn(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **(env or {})},
        cwd=tmp_path,
        log_path=tmp_path / "log",
    )


async def first_line(log_path: Path) -> str:
    def complete() -> bool:
        return read_last_process(log_path).endswith("\n")

    await asyncio.to_thread(eventually, complete)
    return read_last_process(log_path).splitlines()[0]


async def test_exit_code_and_output_are_kept(tmp_path: Path) -> None:
    process = start("print('hello'); raise SystemExit(7)", tmp_path)
    assert await process.wait() == ProcessExit(code=7)
    assert process.ended
    assert read_tail(tmp_path / "log").endswith("\nhello\n")


async def test_the_words_of_an_earlier_process_are_not_taken_for_the_last_ones(
    tmp_path: Path,
) -> None:
    for word in ("first", "second"):
        await start(f"print({word!r})", tmp_path).wait()
    assert read_last_process(tmp_path / "log") == "second\n"
    assert "first" in read_tail(tmp_path / "log")
    assert read_last_process(tmp_path / "none") == ""


async def test_a_signal_is_told_apart_from_a_code(tmp_path: Path) -> None:
    process = start("import time; print('up', flush=True); time.sleep(600)", tmp_path)
    await first_line(tmp_path / "log")
    os.kill(process.pid, signal.SIGKILL)
    exits = await asyncio.gather(process.wait(), process.wait())
    assert list(exits) == [ProcessExit(signal=signal.SIGKILL)] * 2


async def test_stop_kills_what_ignores_sigterm(tmp_path: Path) -> None:
    process = start(IGNORES_SIGTERM, tmp_path)
    await first_line(tmp_path / "log")
    assert await process.stop(grace_seconds=0.2) == ProcessExit(signal=signal.SIGKILL)


async def test_a_cancelled_waiter_does_not_end_the_waiting(tmp_path: Path) -> None:
    process = start("import time; time.sleep(600)", tmp_path)
    waiter = asyncio.create_task(process.wait())
    await asyncio.sleep(0)
    waiter.cancel()
    assert await process.stop(grace_seconds=10) == ProcessExit(signal=signal.SIGTERM)


async def test_when_the_leader_dies_its_children_die(tmp_path: Path) -> None:
    process = start(HAS_A_CHILD, tmp_path)
    child = psutil.Process(int(await first_line(tmp_path / "log")))
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await asyncio.to_thread(psutil.wait_procs, [child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_the_environment_is_only_what_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    process = start("import os; print(sorted(os.environ))", tmp_path, identity(tmp_path, "a-1"))
    await process.wait()
    names = read_tail(tmp_path / "log")
    assert "SECRET_TOKEN" not in names
    assert "HYDRA_BOX_INSTANCE_ID" in names


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"no-such-server cannot be started: No such file"):
        spawn(["no-such-server"], env={}, cwd=tmp_path, log_path=tmp_path / "log")


def test_leftovers_are_found_by_their_environment_and_ended(tmp_path: Path) -> None:
    # The shell ends at once, as a killed daemon would: what it started belongs to nobody here.
    orphan = subprocess.run(
        ["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"],
        env={"PATH": os.environ["PATH"], **identity(tmp_path, "a-1")},
        capture_output=True,
        check=True,
        text=True,
    )
    pid = int(orphan.stdout)
    eventually(lambda: [one.pid for one in find_leftovers(tmp_path)] == [pid])
    assert list(find_leftovers(tmp_path / "other")) == []
    assert reap_leftovers(tmp_path) == [pid]
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_tail_of_a_long_log_and_of_none(tmp_path: Path) -> None:
    log_path = tmp_path / "log"
    assert read_tail(log_path) == ""
    log_path.write_bytes(b"x" * 100 + b"end\xff")
    assert read_tail(log_path, 4) == "end\ufffd"


def test_rotation_keeps_one_older_file(tmp_path: Path) -> None:
    log_path = tmp_path / "log"
    assert not rotate(log_path, 10)
    with log_path.open("ab") as writer:
        writer.write(b"0123456789")
        writer.flush()
        assert not rotate(log_path, 10)
        writer.write(b"ab")
        writer.flush()
        assert rotate(log_path, 10)
        writer.write(b"new")
    assert (tmp_path / "log.1").read_bytes() == b"23456789ab"
    assert log_path.read_bytes() == b"new"
