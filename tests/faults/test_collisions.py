"""Ports and sockets that somebody else has, or has taken away."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

from tests.boxes import PROGRAM
from tests.faults.census import left_behind, processes_of
from tests.faults.conftest import Admit, Rounds
from tests.faults.load import Fate, Tally
from tests.faults.patient import FORGIVING, Patient
from tests.faults.rows import row_of, suffer


def start_in_vain(patient: Patient) -> subprocess.CompletedProcess[str]:
    """A daemon that cannot start, at the box's port."""
    return subprocess.run(
        (PROGRAM, "serve", "--port", str(patient.port)),
        env=patient.box.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_taken_port_keeps_the_daemon_out_and_the_engines_alive(
    admit: Admit, rounds: Rounds
) -> None:
    patient = admit()
    patient.deploy(instances=2)
    engines = patient.pids()

    def collide() -> Callable[[], bool]:
        patient.kill_daemon()
        with closing(socket.create_server(("127.0.0.1", patient.port))):
            refused = start_in_vain(patient)
        assert refused.returncode == 5
        assert f"port {patient.port} on 127.0.0.1 is taken by" in refused.stderr
        assert {one.pid for one in processes_of(patient.box)} == set(engines.values())
        patient.start_daemon()
        return patient.whole

    with patient.load() as load:
        took = suffer(patient, load, collide, rounds(1))
    assert urlsplit(patient.box.url).port == patient.port
    tally, left = load.tally(), left_behind(patient.box)
    row = row_of("the port is taken at start", tally, took, left, without_daemon=True)
    assert row.lost == 0, tally.details(Fate.FAILED)
    assert row.left == []


def test_what_lies_where_the_management_socket_should_be_is_no_obstacle(
    admit: Admit, rounds: Rounds
) -> None:
    patient = admit()
    patient.deploy(instances=1)
    path = patient.box.paths.management_socket

    def collide() -> Callable[[], bool]:
        patient.kill_daemon()
        assert path.is_socket(), "a killed daemon leaves its socket"
        patient.start_daemon()
        patient.wait_whole()
        patient.kill_daemon()
        path.unlink()
        path.mkdir()
        refused = start_in_vain(patient)
        assert refused.returncode == 9, refused.stderr
        assert f"{path} cannot be replaced: Is a directory" in refused.stderr
        assert "Traceback" not in refused.stderr
        path.rmdir()
        patient.start_daemon()
        return patient.whole

    with patient.load() as load:
        took = suffer(patient, load, collide, rounds(1))
    tally, left = load.tally(), left_behind(patient.box)
    row = row_of("a stale socket, then a directory", tally, took, left, without_daemon=True)
    assert row.lost == 0, tally.details(Fate.FAILED)
    assert row.left == []


def test_an_engine_whose_socket_is_taken_away_is_replaced(admit: Admit, rounds: Rounds) -> None:
    patient = admit(program=FORGIVING, hang_timeout_seconds=2, probe_interval_seconds=1)
    patient.deploy(instances=2)

    def tidy_up() -> Callable[[], bool]:
        instance_id, pid = min(patient.pids().items())
        shutil.rmtree(patient.box.paths.instance_socket(instance_id).parent)
        return lambda: patient.healed_without(pid)

    with patient.load() as load:
        took = suffer(patient, load, tidy_up, rounds(1))
    tally, left = load.tally(), left_behind(patient.box)
    row = row_of("an engine's socket is removed", tally, took, left)
    assert row.lost == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []


def test_a_directory_at_an_engines_socket_is_cleared_away(admit: Admit, rounds: Rounds) -> None:
    patient = admit(program=FORGIVING)
    patient.deploy(instances=2)

    def collide() -> Callable[[], bool]:
        instance_id, pid = min(patient.pids().items())
        path = patient.box.paths.instance_socket(instance_id)
        path.unlink()
        path.mkdir()
        (path / "file").touch()
        os.kill(pid, 9)
        return lambda: patient.healed_without(pid)

    with patient.load() as load:
        took = suffer(patient, load, collide, rounds(1))
    tally, left = load.tally(), left_behind(patient.box)
    row = row_of("a directory at an engine's socket", tally, took, left)
    assert row.lost == 0, tally.details(*set(Fate) - {Fate.OK})
    assert row.left == []


def test_a_box_of_no_service_is_as_whole_as_ever(admit: Admit) -> None:
    patient = admit()
    patient.kill_daemon()
    patient.start_daemon()
    patient.box.wait_verified()
    assert left_behind(patient.box) == []
    assert row_of("a killed daemon without a service", Tally(), [0.0], []).lost == 0
