"""``doctor``: each thing that can be wrong, and what it says to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hydra_box.client import Client
from hydra_box.config import Paths, Settings, resolve_paths
from hydra_box.doctor import diagnose, diagnose_remote
from hydra_box.doctor.engines import check_compiler
from hydra_box.doctor.listening import check_port
from hydra_box.doctor.permissions import check_socket, check_state_directory
from hydra_box.doctor.program import check_models
from hydra_box.messages import Attention
from hydra_box.process import identity
from hydra_box.types import (
    Accelerator,
    EngineName,
    Finding,
    GpuCondition,
    Machine,
    Runtime,
    RuntimeSource,
    Severity,
)
from tests.cli.conftest import Cli
from tests.cli.fake_box import FakeBox, a_status
from tests.conftest import DemoBox

MACHINE = Machine(
    cpu_model="A CPU",
    physical_cores=2,
    logical_cores=4,
    ram_total_bytes=8 << 30,
    ram_available_bytes=6 << 30,
    disk_total_bytes=100 << 30,
    disk_free_bytes=50 << 30,
    gpu_condition=GpuCondition.NO_DRIVER,
    gpu_message="no NVIDIA driver",
)
RUNTIME = Runtime(
    id="llama.cpp/bundled-1-cpu",
    engine=EngineName.LLAMA_CPP,
    version="1",
    accelerator=Accelerator.CPU,
    source=RuntimeSource.BUNDLED,
    location="xllamacpp",
    argv=("python",),
    verified_at=100.0,
)

Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(home: Path) -> Look:
    """Runs doctor on this test's state directory; the findings by their check."""

    def run_it(**environ: str) -> dict[str, Finding]:
        variables = {**os.environ, **environ}
        with Client.connect(url=None, api_key=None, environ=variables) as client:
            return {one.check: one for one in diagnose(client, variables)}

    return run_it


@pytest.fixture
def paths(home: Path) -> Paths:
    found = resolve_paths({"HYDRA_BOX_HOME": str(home)})
    found.create()
    return found


def errors(findings: dict[str, Finding]) -> list[Finding]:
    return [one for one in findings.values() if one.severity is Severity.ERROR]


def test_a_machine_on_which_nothing_was_started_is_in_order(home: Path, look: Look) -> None:
    findings = look(HYDRA_BOX_PORT="0")
    assert errors(findings) == []
    assert "does not exist yet" in findings["state directory"].message
    assert findings["daemon"].message == "none runs"
    assert findings["daemon"].hint is not None
    assert "bundled" in findings["runtime"].message
    assert {"permissions", "database", "clock", "disk", "TLS", "systemd"} <= findings.keys()
    assert not home.exists()


def test_the_program_prints_findings_and_ends_with_0(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_BOX_PORT", "0")
    shown = cli("doctor")
    assert shown.status == 0
    assert "ok       python" in shown.out
    assert "errors: 0" in shown.err
    found = cli("doctor", "--json").json["findings"]
    assert {"check", "severity", "message", "hint"} == set(found[0])


def test_an_error_ends_with_1(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_BOX_PORT", "many")
    shown = cli("doctor")
    assert shown.status == 1
    assert "error    settings" in shown.out
    assert "HYDRA_BOX_" in shown.out


def test_a_port_that_another_program_has(look: Look) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = look(HYDRA_BOX_PORT=str(port))["port"]
    assert found.severity is Severity.ERROR
    assert f"port {port} on 127.0.0.1 is taken by" in found.message
    assert f"(pid {os.getpid()})" in found.message
    assert found.hint is not None


def test_a_state_directory_that_cannot_be_made(tmp_path: Path, look: Look) -> None:
    (tmp_path / "file").touch()
    found = look(HYDRA_BOX_HOME=str(tmp_path / "file" / "home"), HYDRA_BOX_PORT="0")
    assert found["state directory"].severity is Severity.ERROR
    assert f"{tmp_path / 'file'} is not writable" in found["state directory"].message


def test_a_state_directory_that_others_can_read(paths: Paths) -> None:
    paths.home.chmod(0o755)
    found = check_state_directory(paths)
    assert found.severity is Severity.WARNING
    assert found.hint == f"chmod 700 {paths.home}"


def test_a_socket_that_others_can_use(paths: Paths) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(paths.management_socket))
        paths.management_socket.chmod(0o666)
        assert check_socket(paths, running=True).severity is Severity.ERROR
        paths.management_socket.chmod(0o600)
        assert check_socket(paths, running=True).severity is Severity.INFO
        assert "was left by" in check_socket(paths, running=False).message


def test_a_catalog_that_cannot_be_read(paths: Paths) -> None:
    (paths.home / "models.toml").write_text("models = 3\n")
    (found,) = check_models(paths)
    assert found.severity is Severity.ERROR
    (paths.home / "models.toml").write_text('[models.lost]\npath = "/nowhere/lost.gguf"\n')
    _, lost = check_models(paths)
    assert lost.severity is Severity.WARNING
    assert "lost" in lost.message


def test_an_address_that_is_not_of_this_machine() -> None:
    found = check_port(Settings(host="192.0.2.1", port=4937))
    assert found.severity is Severity.ERROR
    assert "Cannot assign requested address" in found.message


def test_no_compiler_is_a_warning() -> None:
    found = check_compiler({"PATH": "/nowhere"})
    assert found.severity is Severity.WARNING
    assert found.hint is not None


@pytest.fixture
def holder(paths: Paths) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the state directory as a daemon does, and answers nothing."""
    code = (
        "import fcntl, os, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX);"
        "file.write(str(os.getpid())); file.flush(); print(); sys.stdin.read()"
    )
    command = (sys.executable, "-c", code, str(paths.lock))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def test_a_daemon_that_does_not_answer(holder: subprocess.Popen[bytes], look: Look) -> None:
    found = look(HYDRA_BOX_PORT="0")["daemon"]
    assert found.severity is Severity.ERROR
    assert f"pid {holder.pid}, holds" in found.message


def test_an_engine_process_without_a_daemon(home: Path, paths: Paths, look: Look) -> None:
    environ = {**os.environ, **identity(home, "lost-01234567")}
    command = (sys.executable, "-c", "print(flush=True); input()")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = look(HYDRA_BOX_PORT="0")["leftovers"]
        process.communicate(b"\n")
    assert found.severity is Severity.ERROR
    assert f"{process.pid} (lost-01234567)" in found.message
    assert f"kill {process.pid}" in str(found.hint)
    assert look(HYDRA_BOX_PORT="0")["leftovers"].severity is Severity.INFO


def test_a_running_box_is_in_order(box: DemoBox) -> None:
    findings = {one.check: one for one in diagnose(box.running.client, box.running.environ)}
    assert errors(findings) == []
    assert f"answers at {box.url}, pid {box.running.process.pid}" in findings["daemon"].message
    assert findings["socket"].message.endswith("is this user's alone")
    assert findings["port"].message == f"{box.url} can be reached from here"
    assert findings["database"].message.startswith(f"{box.running.paths.database} is whole")
    assert findings["leftovers"].severity is Severity.INFO


def test_a_warning_is_an_error_to_who_is_strict(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, paths: Paths
) -> None:
    monkeypatch.setenv("HYDRA_BOX_PORT", "0")
    paths.home.chmod(0o755)
    assert cli("doctor").status == 0
    assert cli("doctor", "--strict").status == 1


def remote(fake: FakeBox, machine: Machine, found: list[Runtime], **status: Any) -> list[Finding]:
    """What doctor says of a scripted box."""
    fake.says("GET /api/v1/status", a_status(**status))
    fake.says("GET /api/v1/machine", machine)
    fake.says("GET /api/v1/engines", found)
    with Client(url=fake.url) as client:
        return diagnose_remote(client)


def only(findings: list[Finding], severity: Severity) -> list[Finding]:
    return [one for one in findings if one.severity is severity]


def test_a_box_elsewhere_that_is_in_order(fake: FakeBox) -> None:
    findings = remote(fake, MACHINE, [RUNTIME])
    assert {one.severity for one in findings} == {Severity.INFO}


def test_a_pinned_runtime_that_does_not_work_is_named(fake: FakeBox) -> None:
    pinned = msgspec.structs.replace(RUNTIME, pinned=True)
    findings = remote(fake, MACHINE, [pinned])
    assert f"{pinned.id} answered on the demo model, and is pinned" in [
        one.message for one in findings
    ]
    broken = msgspec.structs.replace(pinned, verified_at=None, problem="it hangs")
    other = msgspec.structs.replace(RUNTIME, id="llama.cpp/other", verified_at=None)
    errors = only(
        remote(fake, MACHINE, [broken, other], runtimes={"llama.cpp": None}), Severity.ERROR
    )
    assert [one.message for one in errors] == ["llama.cpp has no usable runtime"]
    assert f"hydra-box engines unpin {broken.id}" in str(errors[0].hint)


def test_a_box_elsewhere_that_does_not_answer() -> None:
    with Client(url="http://127.0.0.1:1") as client:
        (found,) = diagnose_remote(client)
    assert found.severity is Severity.ERROR


def test_services_that_need_attention_are_errors(fake: FakeBox) -> None:
    attention = Attention(
        message="a is FAILED: no memory", hint="hydra-box logs a", service_name="a"
    )
    (found,) = only(remote(fake, MACHINE, [RUNTIME], attention=(attention,)), Severity.ERROR)
    assert (found.message, found.hint) == (attention.message, attention.hint)


def test_what_the_daemon_says_of_the_machine_is_told_once(fake: FakeBox) -> None:
    clock = Attention(message="the clock was set back by 1 h", hint="hydra-box doctor checks it")
    (found,) = only(remote(fake, MACHINE, [RUNTIME], attention=(clock,)), Severity.WARNING)
    assert (found.check, found.message, found.hint) == ("attention", clock.message, clock.hint)
    lost = msgspec.structs.replace(
        MACHINE, gpu_condition=GpuCondition.GPU_LOST, gpu_message="GPU 0 is lost; hint: reboot"
    )
    told = (Attention(message="GPU 0 is lost", hint="reboot"),)
    findings = remote(fake, lost, [RUNTIME], attention=told)
    assert [one.check for one in findings if one.message == "GPU 0 is lost"] == ["GPU"]


def test_a_daemon_of_another_version_is_a_warning(fake: FakeBox) -> None:
    (found,) = only(remote(fake, MACHINE, [RUNTIME], version="0.0.1"), Severity.WARNING)
    assert "version 0.0.1" in found.message
    assert "restart" in str(found.hint)


def test_no_usable_runtime_is_an_error(fake: FakeBox) -> None:
    broken = msgspec.structs.replace(RUNTIME, verified_at=None, problem="it ended by SIGILL")
    findings = remote(fake, MACHINE, [broken], runtimes={"llama.cpp": None})
    (warning,) = only(findings, Severity.WARNING)
    assert "it ended by SIGILL" in warning.message
    (error,) = only(findings, Severity.ERROR)
    assert error.hint == "hydra-box engines install llama.cpp"


def test_a_runtime_that_is_still_being_verified_is_no_error(fake: FakeBox) -> None:
    new = msgspec.structs.replace(RUNTIME, verified_at=None)
    findings = remote(fake, MACHINE, [new], runtimes={"llama.cpp": None})
    assert {one.severity for one in findings} == {Severity.INFO}


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"gpu_condition": GpuCondition.NO_DEVICE}, Severity.INFO),
        ({"gpu_message": "no driver, although a GPU; hint: install it"}, Severity.WARNING),
        ({"gpu_condition": GpuCondition.GPU_LOST}, Severity.ERROR),
        ({"gpu_condition": GpuCondition.DRIVER_MISMATCH}, Severity.ERROR),
        ({"ram_available_bytes": 1 << 20}, Severity.WARNING),
        ({"disk_free_bytes": 1 << 20}, Severity.WARNING),
    ],
)
def test_the_machine(fake: FakeBox, changes: dict[str, Any], severity: Severity) -> None:
    findings = remote(fake, msgspec.structs.replace(MACHINE, **changes), [RUNTIME])
    worst = only(findings, Severity.ERROR) or only(findings, Severity.WARNING)
    assert {one.severity for one in worst or findings} == {severity}
