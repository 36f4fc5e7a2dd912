"""The hub's token as a credential."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.config import Settings
from hydra_box.errors import ConfigError
from hydra_box.models.hub_access import hub_token
from hydra_box.systemd.credentials import with_hub_token
from hydra_box.tls import find_tls_files


def test_the_credential_wins_over_the_variable(tmp_path: Path) -> None:
    (tmp_path / "hub-token").write_text("hf_credential\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "HF_TOKEN": "hf_variable", "HOME": "/"}
    given = with_hub_token(environ)
    assert hub_token(given) == "hf_credential"
    assert "hf_credential" not in str(given)
    assert environ["HF_TOKEN"] == "hf_variable"


def test_without_one_the_environment_stays(tmp_path: Path) -> None:
    for environ in ({"HF_TOKEN": "a"}, {"HF_TOKEN": "a", "CREDENTIALS_DIRECTORY": str(tmp_path)}):
        assert with_hub_token(environ) == environ


def test_credentials_that_cannot_be_looked_at_are_told(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / ("x" * 300))}
    for look in (with_hub_token, lambda given: find_tls_files(Settings(), given)):
        with pytest.raises(ConfigError, match="cannot be looked at: File name too long"):
            look(environ)
