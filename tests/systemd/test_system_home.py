"""Whose box is meant, where there is a system service."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.config import home, resolve_home


@pytest.fixture
def system_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "system"
    monkeypatch.setattr(home, "SYSTEM_HOME", path)
    return path


def test_who_has_no_box_and_may_look_into_the_systems_means_that(
    tmp_path: Path, system_home: Path
) -> None:
    own = tmp_path / ".local" / "share" / "hydra-box"
    assert resolve_home({"HOME": str(tmp_path)}) == own
    system_home.mkdir()
    assert resolve_home({"HOME": str(tmp_path)}) == system_home


def test_a_box_of_ones_own_comes_first(tmp_path: Path, system_home: Path) -> None:
    system_home.mkdir()
    own = tmp_path / ".local" / "share" / "hydra-box"
    own.mkdir(parents=True)
    assert resolve_home({"HOME": str(tmp_path)}) == own


def test_the_service_itself_is_told_by_systemd(tmp_path: Path, system_home: Path) -> None:
    system_home.mkdir()
    environ = {"HOME": str(tmp_path), "STATE_DIRECTORY": "/var/lib/elsewhere"}
    assert resolve_home(environ) == Path("/var/lib/elsewhere")
