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
    adopt,
    find_leftovers,
    identity,
    read_last_process,
    read_tail,
    rotate,
    spawn,
)
from hydra_box.sessions import born_at, leads
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


def orphan(command: str, home: Path) -> int:
    """The pid of a session's leader that belongs to nobody here, as after a daemon was killed."""
    # The shell ends at once, as a killed daemon would.
    started = subprocess.run(
        ["sh", "-c", f"setsid {command} >/dev/null 2>&1 & echo $!"],
        env={"PATH": os.environ["PATH"], **identity(home, "a-1")},
        capture_output=True,
        check=True,
        text=True,
    )
    pid = int(started.stdout)
    eventually(lambda: is_itself(pid), what="it leads its session")
    return pid


def is_itself(pid: int) -> bool:
    """Whether a process that was just started is what it shall be; or is gone again."""
    try:
        process = psutil.Process(pid)
        # While a program is loaded there is no environment to read.
        return process.name() not in ("sh", "setsid") and bool(process.environ()) and leads(pid)
    except psutil.Error:
        return not psutil.pid_exists(pid)


def child_that_waits(home: Path) -> tuple[int, int]:
    """A child that no ``Popen`` has started, as after an execve: it exits with 7.

    Its pid, and what to close so that it does.
    """
    command = ["sh", "-c", "read line; exit 7"]
    gate, other_end = os.pipe()
    pid = os.posix_spawnp(
        command[0],
        command,
        {"PATH": os.environ["PATH"], **identity(home, "a-1")},
        file_actions=[(os.POSIX_SPAWN_DUP2, gate, 0)],
        setsid=True,
    )
    os.close(gate)
    eventually(psutil.Process(pid).environ, what="it is loaded")
    return pid, other_end


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
    assert await process.stop(grace_seconds=60) == ProcessExit(signal=signal.SIGTERM)


async def test_when_the_leader_dies_its_children_die(tmp_path: Path) -> None:
    process = start(HAS_A_CHILD, tmp_path)
    child = psutil.Process(int(await first_line(tmp_path / "log")))
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await asyncio.to_thread(psutil.wait_procs, [child], timeout=60)
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


def test_leftovers_are_found_by_their_environment(tmp_path: Path) -> None:
    pid = orphan("sleep 600", tmp_path)
    try:
        assert [one.pid for one in find_leftovers(tmp_path)] == [pid]
        assert list(find_leftovers(tmp_path / "other")) == []
    finally:
        os.kill(pid, signal.SIGKILL)


async def test_a_process_of_an_earlier_daemon_is_taken_over(tmp_path: Path) -> None:
    pid = orphan("sleep 600", tmp_path)
    process = adopt(pid, born_at(pid), identity(tmp_path, "a-1"))
    assert process is not None
    assert (process.pid, process.created_at) == (pid, born_at(pid))
    # It is no child: how it ended is known to nobody here.
    assert await process.stop(grace_seconds=60) == ProcessExit()
    assert process.ended
    assert list(find_leftovers(tmp_path)) == []


async def test_what_one_of_an_earlier_daemon_has_started_ends_with_it(tmp_path: Path) -> None:
    pid = orphan(f"{sys.executable} -c '{HAS_A_CHILD}'", tmp_path)
    process = adopt(pid, born_at(pid), identity(tmp_path, "a-1"))
    assert process is not None
    eventually(lambda: len(list(find_leftovers(tmp_path))) == 2)
    os.kill(pid, signal.SIGKILL)
    assert await process.wait() == ProcessExit()
    await asyncio.to_thread(eventually, lambda: not list(find_leftovers(tmp_path)))


async def test_of_a_child_the_exit_is_known_whoever_started_it(tmp_path: Path) -> None:
    pid, other_end = child_that_waits(tmp_path)
    process = adopt(pid, born_at(pid), identity(tmp_path, "a-1"))
    assert process is not None
    os.close(other_end)
    assert await process.wait() == ProcessExit(code=7)


@pytest.mark.parametrize(
    ("later_seconds", "home", "instance_id"), [(0.01, "", "a-1"), (0, "other", "a-1"), (0, "", "b")]
)
async def test_a_stranger_of_the_same_number_is_not_taken_over(
    tmp_path: Path, later_seconds: float, home: str, instance_id: str
) -> None:
    pid = orphan("sleep 600", tmp_path)
    try:
        names = identity(tmp_path / home, instance_id)
        assert adopt(pid, born_at(pid) + later_seconds, names) is None
        assert psutil.pid_exists(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


async def test_one_that_is_gone_is_not_taken_over(tmp_path: Path) -> None:
    pid = orphan("true", tmp_path)
    eventually(lambda: not psutil.pid_exists(pid))
    assert adopt(pid, 1.0, identity(tmp_path, "a-1")) is None


async def test_a_stopped_process_can_be_killed(tmp_path: Path) -> None:
    process = start("import time; print('up', flush=True); time.sleep(600)", tmp_path)
    await first_line(tmp_path / "log")
    os.kill(process.pid, signal.SIGSTOP)
    process.kill()
    assert await process.wait() == ProcessExit(signal=signal.SIGKILL)
    process.kill()


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


async def test_a_child_that_ended_before_it_could_be_adopted_is_collected(home: Path) -> None:
    pid, gate = child_that_waits(home)
    born = born_at(pid)
    os.close(gate)
    await asyncio.to_thread(
        eventually, lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    )
    assert adopt(pid, born, identity(home, "a-1")) is None
    assert not psutil.pid_exists(pid)


def test_a_log_that_cannot_be_read_is_told_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_tail(tmp_path) == ""
    assert f"{tmp_path} cannot be read: Is a directory" in caplog.text
