"""``hydra-box restart``: another daemon in the same process, and nobody notices."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
from contextlib import closing

import psutil
import pytest

from hydra_box.errors import HydraError
from hydra_box.messages import BoxStatus, DeployRequest
from hydra_box.process import find_leftovers
from hydra_box.types import Scope
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e.commands import run, run_json
from tests.e2e.streams import chat, leave, open_stream, read_whole
from tests.waiting import eventually


def followed(box: RunningBox, before: BoxStatus) -> BoxStatus:
    """The status of the daemon that followed, once it answers."""

    def another() -> BoxStatus | None:
        status = box.client.status()
        return status if status.started_at != before.started_at else None

    found = eventually(another, what="another daemon answers", ignoring=(HydraError,))
    assert found is not None
    return found


def open_files(pid: int) -> int:
    return psutil.Process(pid).num_fds()


async def test_a_stream_goes_on_to_its_end_and_new_connections_wait(start_box: StartBox) -> None:
    box = start_box(drain_timeout_seconds=300)
    view = await asyncio.to_thread(box.deploy, DeployRequest(model="demo", name="kept"))
    key, before = box.key("k", Scope.INFERENCE), box.client.status()
    body = chat(view.access_name, max_tokens=500, ignore_eos=True, stream=True)
    reader, writer = await open_stream(box.url, key, body)
    first = await reader.readuntil(b"data: ")
    box.client.restart()
    late = asyncio.create_task(
        read_whole(box.url, key, chat(view.access_name, "Hello!", max_tokens=5))
    )
    rest = await reader.read()
    await leave(writer)
    assert b"data: [DONE]" in first + rest
    status, _ = await late
    assert status == 200
    after = await asyncio.to_thread(followed, box, before)
    assert (after.pid, after.url) == (before.pid, before.url)
    assert [one.pid for one in after.services[0].instances] == [one.pid for one in view.instances]


def test_it_is_told_what_became_of_the_engines(start_box: StartBox) -> None:
    box = start_box()
    view = box.deploy(DeployRequest(model="demo", name="kept", instances=2))
    engines = sorted(one.pid for one in view.instances if one.pid is not None)
    done = run_json(box, "restart", "--wait")
    assert done["pid"] == box.process.pid
    assert done["version"] == done["version_before"]
    assert (done["engine_pids"], done["lost_pids"]) == (engines, [])
    words = run(box, "restart", "--wait").stdout
    assert f"has restarted, pid {box.process.pid}, in " in words
    assert f"2 engines went on (pid {engines[0]} {engines[1]})" in words
    assert box.stop() == 0
    assert list(find_leftovers(box.home)) == []


def test_it_holds_the_state_directory_all_the_time(start_box: StartBox) -> None:
    box = start_box()
    run(box, "restart", "--wait")
    refused = run(box, "serve", "--port", "0")
    assert refused.returncode == 5
    assert f"a daemon (pid {box.process.pid}) already uses {box.home}" in refused.stderr
    assert not stat.S_IMODE(box.paths.management_socket.stat().st_mode) & 0o077


def test_again_and_again_leaves_nothing_open(start_box: StartBox) -> None:
    box = start_box()
    box.deploy(DeployRequest(model="demo", name="kept"))
    run(box, "restart", "--wait")
    files, children = open_files(box.process.pid), len(psutil.Process(box.process.pid).children())
    for _ in range(3):
        run(box, "restart", "--wait")
    # How many are open differs by one or two from moment to moment; three restarts that each
    # leave one make three.
    eventually(lambda: open_files(box.process.pid) < files + 3, what="no more files are open")
    eventually(
        lambda: len(psutil.Process(box.process.pid).children()) <= children,
        what="no more processes are there",
    )


def test_how_an_engine_ended_is_known_because_it_stays_a_child(start_box: StartBox) -> None:
    box = start_box()
    view = box.deploy(DeployRequest(model="demo", name="kept"))
    run(box, "restart", "--wait")
    (pid,) = [one.pid for one in view.instances]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: box.client.service("kept").instances[0].restarts == 1)
    eventually(
        lambda: any("SIGKILL" in one.message for one in box.client.recent_events(service="kept")),
        what="it is told how it ended",
    )
    assert not psutil.pid_exists(pid)
    box.wait_running("kept")


def test_sighup_does_the_same(start_box: StartBox) -> None:
    box = start_box()
    before = box.client.status()
    box.process.send_signal(signal.SIGHUP)
    assert followed(box, before).pid == before.pid


def test_settings_are_read_again(start_box: StartBox) -> None:
    box = start_box()
    before = box.client.status()
    box.paths.config.write_text('currency = "EUR"\n')
    run(box, "restart", "--wait")
    assert followed(box, before).url == before.url
    assert box.client.usage().currency == "EUR"


def test_the_endpoint_moves_where_the_settings_now_say(start_box: StartBox) -> None:
    box = start_box()
    before = box.client.status()
    assert before.url.startswith("http://127.0.0.1:")
    box.paths.config.write_text('host = "127.0.0.2"\n')
    run(box, "restart", "--wait")
    assert followed(box, before).url.startswith("http://127.0.0.2:")


def test_one_that_would_not_start_is_refused_and_the_old_one_goes_on(start_box: StartBox) -> None:
    box = start_box()
    before = box.client.status()
    box.paths.config.write_text("prot = 1\n")
    refused = run(box, "restart", "--wait")
    assert refused.returncode == 5
    assert "the daemon that would follow does not start: " in refused.stderr
    assert "unknown key 'prot'" in refused.stderr
    assert "this one goes on" in refused.stderr
    box.process.send_signal(signal.SIGHUP)

    def told() -> bool:
        events = box.client.recent_events()
        return any(one.kind == "daemon.restart_refused" for one in events)

    eventually(told, what="a refusal that nobody waits for is an event")
    assert box.client.status().started_at == before.started_at
    box.paths.config.unlink()


def test_whether_it_would_start_can_be_asked_for(start_box: StartBox) -> None:
    box = start_box()
    assert run_json(box, "serve", "--check") == {"version": box.client.status().version}
    with closing(sqlite3.connect(box.paths.database)) as database, database:
        database.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('hydra_box', 'm999_later', '2030-01-01')"
        )
    refused = run(box, "serve", "--check")
    assert refused.returncode == 9
    assert "was written by a newer Hydra Box: it has m999_later" in refused.stderr


async def test_a_signal_to_stop_ends_the_waiting_for_requests(start_box: StartBox) -> None:
    box = start_box(drain_timeout_seconds=300)
    view = await asyncio.to_thread(box.deploy, DeployRequest(model="demo", name="kept"))
    key = box.key("k", Scope.INFERENCE)
    body = chat(view.access_name, max_tokens=400, ignore_eos=True, stream=True)
    reader, writer = await open_stream(box.url, key, body)
    first = await reader.readuntil(b"data: ")
    box.client.restart()
    box.process.send_signal(signal.SIGTERM)
    rest = await reader.read()
    await leave(writer)
    assert b"data: [DONE]" in first + rest
    assert await asyncio.to_thread(box.process.wait, 60) == 0
    assert list(find_leftovers(box.home)) == []


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ('host = "0.0.0.0"\n', "0.0.0.0 can be reached from other machines, and this box has no"),
        ('host = "192.0.2.1"\n', "cannot listen on 192.0.2.1:0: Cannot assign requested address"),
    ],
    ids=["open-without-a-key", "of-another-machine"],
)
def test_an_address_that_cannot_be_taken_ends_nothing(
    start_box: StartBox, settings: str, why: str
) -> None:
    box = start_box()
    before = box.client.status()
    box.paths.config.write_text(settings)
    refused = run(box, "restart", "--wait")
    assert refused.returncode == 5
    assert why in refused.stderr
    assert box.client.status().started_at == before.started_at
