"""The units: as the real systemd-analyze sees them, and what may not change unnoticed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hydra_box.systemd.unit import (
    SERVICE,
    SOCKET,
    Scope,
    Wanted,
    account_text,
    is_as_installed,
    service_text,
    socket_text,
)

HIGHEST_EXPOSURE = 2.5
HAS_ANALYZE = shutil.which("systemd-analyze") is not None
needs_analyze = pytest.mark.skipif(not HAS_ANALYZE, reason="there is no systemd-analyze here")


def wanted(scope: Scope = Scope.SYSTEM, **changes: object) -> Wanted:
    values: dict[str, object] = {
        "scope": scope,
        "program": (sys.executable, "-m", "hydra_box.cli"),
        "host": "127.0.0.1",
        "port": 4937,
        "home": "/var/lib/hydra-box",
    }
    return Wanted(**values | changes)  # type: ignore[arg-type]


def lines(text: str) -> list[str]:
    return text.splitlines()


def analyze(
    directory: Path, *arguments: str | Path, scope: Scope = Scope.SYSTEM
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("systemd-analyze", f"--{scope}", *arguments),
        env={**os.environ, "XDG_RUNTIME_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(params=Scope)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Scope, Path, Path]:
    """The two units of a scope as files, of a program in an awkward place."""
    scope = request.param
    odd = tmp_path / "a b 100%$HOME"
    odd.mkdir()
    program = odd / "hydra-box"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    about = wanted(scope, program=(str(program), f"$x '{odd}' \"y\""), home=str(odd))
    service, socket = tmp_path / SERVICE, tmp_path / SOCKET
    service.write_text(service_text(about))
    socket.write_text(socket_text(about))
    return scope, service, socket


@needs_analyze
def test_systemd_has_nothing_to_say_against_them(written: tuple[Scope, Path, Path]) -> None:
    scope, service, socket = written
    done = analyze(service.parent, "verify", service, socket, scope=scope)
    assert (done.returncode, done.stderr) == (0, "")


@needs_analyze
def test_the_system_service_is_walled_in(tmp_path: Path) -> None:
    service = tmp_path / SERVICE
    service.write_text(service_text(wanted()))
    done = analyze(tmp_path, "security", "--offline=true", "--json=short", service)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    told = analyze(tmp_path, "security", "--offline=true", "--no-pager", service).stdout
    exposure = float(told.rpartition(f"{SERVICE}: ")[2].split()[0])
    assert exposure <= HIGHEST_EXPOSURE


def test_engines_outlive_a_daemon_that_dies() -> None:
    for scope in Scope:
        unit = lines(service_text(wanted(scope)))
        assert "KillMode=process" in unit
        assert "OOMPolicy=continue" in unit
        assert f"ExecStopPost={sys.executable} -m hydra_box.cli systemd reap" in unit
        # A namespace of users would keep the next daemon from looking at them.
        assert not [one for one in unit if one.startswith(("PrivateUsers", "RemoveIPC=y"))]


def test_gpus_can_be_used_behind_the_walls() -> None:
    unit = lines(service_text(wanted()))
    assert "DeviceAllow=char-nvidia* rw" in unit
    assert not [
        one for one in unit if one.startswith(("MemoryDenyWrite", "PrivateDevices", "Proc"))
    ]


def test_a_users_service_asks_for_nothing_that_needs_privileges() -> None:
    unit = service_text(wanted(Scope.USER, home="/home/mary/box"))
    assert "Environment=HYDRA_BOX_HOME=/home/mary/box" in unit
    assert "WantedBy=default.target" in unit
    for word in ("User=", "StateDirectory", "Protect", "Private", "Capability", "Device"):
        assert f"\n{word}" not in unit


def test_the_socket_is_the_address_of_the_settings() -> None:
    assert "ListenStream=127.0.0.1:4937" in lines(socket_text(wanted()))
    assert "ListenStream=[::1]:80" in lines(socket_text(wanted(host="::1", port=80)))


@pytest.mark.parametrize("text", [service_text(wanted()), socket_text(wanted()), account_text()])
def test_what_was_changed_by_a_byte_is_not_as_it_was_installed(text: str) -> None:
    assert is_as_installed(text)
    assert not is_as_installed(text + "\n")
    assert not is_as_installed(text.replace("hydra-box", "hydra-bax"))
    assert not is_as_installed(text.partition("\n")[2])
