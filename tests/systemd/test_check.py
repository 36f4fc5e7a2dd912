"""What doctor says of the units."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hydra_box.systemd import install
from hydra_box.systemd.check import check_unit
from hydra_box.systemd.unit import SERVICE, SOCKET
from hydra_box.types import Severity
from tests.cli.conftest import Cli


@pytest.fixture
def units(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """Units of this test's user, installed; they linger."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home.parent / "config"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(install, "LINGERING", home.parent)
    monkeypatch.setenv("LOGNAME", "mary")
    (home.parent / "mary").touch()
    assert cli("systemd", "install", "--user", "--yes").status == 0
    return home.parent / "config" / "systemd" / "user"


def test_units_as_they_were_installed_are_in_order(units: Path) -> None:
    found = check_unit(os.environ)
    assert found.severity is Severity.INFO
    assert found.message == "the user service is installed as this version has it"


def test_a_box_without_units_is_in_order(units: Path) -> None:
    (units / SERVICE).unlink()
    (units / SOCKET).unlink()
    found = check_unit(os.environ)
    assert found.severity is Severity.INFO
    assert "none installed" in found.message


def test_an_edited_unit_is_told(units: Path) -> None:
    with (units / SERVICE).open("a") as file:
        file.write("# mine\n")
    found = check_unit(os.environ)
    assert found.severity is Severity.WARNING
    assert found.message == f"{units / SERVICE} is not as it was installed"
    assert "drop-in" in (found.hint or "")


def test_an_outdated_unit_is_told(units: Path, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("port = 8080\n")
    found = check_unit(os.environ)
    assert found.severity is Severity.WARNING
    assert found.message == f"{units / SOCKET} is not as this version would install it"
    assert found.hint == "hydra-box systemd install --user"


def test_a_missing_half_is_told(units: Path) -> None:
    (units / SOCKET).unlink()
    assert check_unit(os.environ).message == f"{units / SOCKET} is missing"


def test_a_users_service_that_does_not_linger_is_told(units: Path, home: Path) -> None:
    (home.parent / "mary").unlink()
    found = check_unit(os.environ)
    assert found.severity is Severity.WARNING
    assert found.hint == "loginctl enable-linger"


def test_settings_that_are_wrong_are_told(units: Path, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("prot = 8080\n")
    found = check_unit(os.environ)
    assert found.severity is Severity.WARNING
    assert "prot" in found.message
