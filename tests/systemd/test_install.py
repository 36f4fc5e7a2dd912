"""Installing and removing: what is shown, what is asked, what is left alone."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from hydra_box.systemd.unit import SERVICE, SOCKET
from tests.cli.conftest import Cli

INSTALL = ("systemd", "install", "--user")
SYSTEMCTL = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
test ! -e {log}.fail || {{ echo "it broke" >&2; exit 1; }}
"""


@pytest.fixture
def units(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the units of this test's user go."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home.parent / "config"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return home.parent / "config" / "systemd" / "user"


@pytest.fixture
def called(units: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's manager seems to run; the file has what it was told to do."""
    log, programs = home.parent / "called", home.parent / "programs"
    (home.parent / "systemd").mkdir()
    (home.parent / "systemd" / "private").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home.parent))
    programs.mkdir()
    for name in ("systemctl", "loginctl"):
        (programs / name).write_text(SYSTEMCTL.format(log=log))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    home.mkdir()
    # Any free port: that of the settings may be taken on this machine.
    (home / "config.toml").write_text("port = 0\n")
    return log


def test_print_shows_the_units_and_writes_nothing(cli: Cli, units: Path) -> None:
    shown = cli("systemd", "print", "--user")
    assert shown.status == 0
    assert f"# {units / SERVICE}\n# hydra-box: sha256 " in shown.out
    assert "ListenStream=127.0.0.1:4937" in shown.out
    found = cli("systemd", "print", "--user", "--json").json
    assert list(found["files"]) == [str(units / SOCKET), str(units / SERVICE)]
    assert not units.exists()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(cli: Cli, units: Path) -> None:
    shown = cli(*INSTALL, "--dry-run")
    assert f"write   {units / SERVICE}" in shown.err
    assert "remains systemctl --user enable --now hydra-box.socket hydra-box.service" in shown.err
    assert "loginctl enable-linger" in shown.err
    assert not units.exists()


def test_nobody_to_ask_is_no_consent(cli: Cli, units: Path) -> None:
    refused = cli(*INSTALL)
    assert refused.status == 2
    assert "--yes" in refused.err
    assert not units.exists()


def test_without_a_manager_the_commands_remain(cli: Cli, units: Path) -> None:
    done = cli(*INSTALL, "--yes")
    assert done.status == 0
    assert "systemd does not run here: the commands above remain" in done.err
    assert sorted(one.name for one in units.iterdir()) == [SERVICE, SOCKET]
    assert (units / SERVICE).stat().st_mode & 0o777 == 0o644


def test_with_one_they_are_run(cli: Cli, called: Path) -> None:
    done = cli(*INSTALL, "--yes", "--json").json
    assert done["done"]
    assert done["commands_run"]
    assert called.read_text().splitlines() == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now hydra-box.socket hydra-box.service",
        "loginctl enable-linger",
    ]


def test_a_command_that_fails_is_told_in_its_own_words(cli: Cli, called: Path) -> None:
    Path(f"{called}.fail").touch()
    failed = cli(*INSTALL, "--yes")
    assert failed.status == 9
    assert "systemctl --user daemon-reload ended with 1: it broke" in failed.err


def test_an_older_version_is_replaced_and_the_same_one_kept(
    cli: Cli, units: Path, home: Path
) -> None:
    cli(*INSTALL, "--yes")
    assert f"keep    {units / SOCKET}" in cli(*INSTALL, "--yes").err
    home.mkdir()
    (home / "config.toml").write_text("port = 8080\n")
    assert f"update  {units / SOCKET}" in cli(*INSTALL, "--yes").err
    assert "ListenStream=127.0.0.1:8080" in (units / SOCKET).read_text()


def test_an_edited_unit_is_shown_and_left_until_it_is_forced(cli: Cli, units: Path) -> None:
    cli(*INSTALL, "--yes")
    service = units / SERVICE
    installed = service.read_text()
    edited = installed.replace("WatchdogSec=60", "WatchdogSec=7")
    service.write_text(edited)
    refused = cli(*INSTALL, "--yes")
    assert refused.status == 5
    assert "-WatchdogSec=7\n+WatchdogSec=60" in refused.err
    assert "drop-in" in refused.err
    assert service.read_text() == edited
    assert cli("systemd", "uninstall", "--user", "--yes").status == 5
    assert service.read_text() == edited
    assert cli(*INSTALL, "--yes", "--force").status == 0
    assert service.read_text() == installed


def test_a_unit_that_somebody_else_wrote_counts_as_edited(cli: Cli, units: Path) -> None:
    units.mkdir(parents=True)
    (units / SERVICE).symlink_to("/dev/null")
    assert cli(*INSTALL, "--yes").status == 5
    assert (units / SERVICE).is_symlink()
    assert cli(*INSTALL, "--yes", "--force").status == 0
    assert "[Service]" in (units / SERVICE).read_text()
    assert not (units / SERVICE).is_symlink()


def test_drop_ins_are_shown_and_stay(cli: Cli, units: Path) -> None:
    drop_in = units / f"{SERVICE}.d" / "override.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nWatchdogSec=7\n")
    assert f"stays   {drop_in}" in cli(*INSTALL, "--yes").err
    assert f"stays   {drop_in}" in cli("systemd", "uninstall", "--user", "--yes").err
    assert drop_in.read_text() == "[Service]\nWatchdogSec=7\n"


def test_uninstall_stops_the_service_and_takes_its_files_only(
    cli: Cli, called: Path, units: Path, home: Path
) -> None:
    cli(*INSTALL, "--yes")
    called.unlink()
    (units / "other.service").touch()
    done = cli("systemd", "uninstall", "--user", "--yes")
    assert done.status == 0
    assert called.read_text().splitlines() == [
        "systemctl --user disable --now hydra-box.socket hydra-box.service",
        "systemctl --user daemon-reload",
    ]
    assert [one.name for one in units.iterdir()] == ["other.service"]
    assert (home / "config.toml").exists()
    assert "nothing is installed" in cli("systemd", "uninstall", "--user", "--yes").err


def test_a_port_that_is_taken_is_told_before_anything_is_written(
    cli: Cli, called: Path, units: Path, home: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (home / "config.toml").write_text(f"port = {port}\n")
        refused = cli(*INSTALL, "--yes")
    assert refused.status == 5
    assert f"port {port} on 127.0.0.1 is taken" in refused.err
    assert not units.exists()


def test_a_program_in_a_home_cannot_be_a_system_service(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(closed / "python"))
    refused = cli("systemd", "install", "--system", "--yes")
    assert refused.status == 2
    assert "the account of a system service cannot pass /" in refused.err
    assert "/opt/hydra-box" in refused.err
