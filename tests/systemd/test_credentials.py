"""The hub's token as a credential."""

from __future__ import annotations

from pathlib import Path

from hydra_box.models.hub_access import hub_token
from hydra_box.systemd.credentials import with_hub_token


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
