"""The installed program between others: a reader that goes away, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess

from tests.boxes import PROGRAM
from tests.cli.fake_box import FakeBox, a_service_view, a_status


def environ(fake: FakeBox) -> dict[str, str]:
    return {**os.environ, "HYDRA_BOX_URL": fake.url}


def test_a_reader_that_goes_away_ends_it_quietly(fake: FakeBox) -> None:
    fake.says("GET /api/v1/services/a/logs", b"a line of a long log\n" * 100_000)
    with subprocess.Popen(
        (PROGRAM, "logs", "a"),
        env=environ(fake),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"a line of a long log\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_ctrl_c_ends_with_130_and_no_traceback(fake: FakeBox) -> None:
    fake.says("POST /api/v1/services", a_service_view(status="DEPLOYING", ready_instances=0))
    fake.says("GET /api/v1/services/a", a_service_view(status="DEPLOYING", ready_instances=0))
    with subprocess.Popen(
        (PROGRAM, "deploy", "demo", "--wait"),
        env=environ(fake),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("deploying demo (")
        assert "a DEPLOYING: 0 of 1 ready" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert "Traceback" not in rest
        assert "a goes on without being waited for" in rest
        assert process.wait(60) == 130


def test_json_on_stdout_is_alone_there(fake: FakeBox) -> None:
    fake.says("GET /api/v1/status", a_status())
    done = subprocess.run(
        (PROGRAM, "status", "--json"), env=environ(fake), capture_output=True, check=True
    )
    assert done.stdout.startswith(b"{\n")
    assert done.stdout.endswith(b"\n}\n")
    assert done.stderr == b""
