"""``backup`` and ``restore``: with a real daemon, without one, and with one that breaks off."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import httpx
import pytest

from hydra_box.backups import archive_reading
from hydra_box.config import resolve_paths
from hydra_box.types import Scope
from tests.boxes import PROGRAM
from tests.cli.conftest import Cli
from tests.cli.fake_box import FakeBox
from tests.conftest import DemoBox, StartBox
from tests.e2e.commands import run, run_json
from tests.waiting import eventually


def test_a_box_moves_to_another_state_directory(
    start_box: StartBox, home: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = start_box()
    key = box.key("laptop", Scope.INFERENCE)
    file = tmp_path / "box.tar"
    written = run_json(box, "backup", str(file))
    assert written["size_bytes"] == file.stat().st_size
    assert [one["name"] for one in written["manifest"]["members"]] == ["hydra-box.db"]
    assert file.stat().st_mode & 0o777 == 0o600

    refused = run(box, "restore", str(file))
    assert refused.returncode == 5
    assert f"a daemon (pid {box.process.pid}) already uses" in refused.stderr
    assert "end it first" in refused.stderr
    box.key("later", Scope.INFERENCE)
    assert box.stop() == 0

    restored = run_json(box, "restore", str(file))
    assert restored["members"] == ["hydra-box.db"]
    assert (Path(restored["set_aside"]) / "hydra-box.db").exists()
    again = start_box()
    keys = again.client.keys()
    assert [one.name for one in keys] == ["laptop"]
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{again.url}/v1/models", headers=headers, timeout=30).status_code == 200


def test_a_backup_without_a_daemon(start_box: StartBox, tmp_path: Path) -> None:
    box = start_box()
    box.key("laptop", Scope.INFERENCE)
    # The box makes one of its own when it starts, if it is not stopped before.
    eventually(lambda: list(box.paths.backups.glob("*.db")), what="the first backup is there")
    assert box.stop() == 0
    done = run(box, "backup", str(tmp_path / "box.tar.gz"))
    assert done.returncode == 0, done.stderr
    assert "box.tar.gz has 1 file," in done.stderr
    assert (tmp_path / "box.tar.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert archive_reading.verify(tmp_path / "box.tar.gz").members
    listed = run_json(box, "restore", "--list")["backups"]
    assert len(listed) == 1
    assert run(box, "restore", listed[0]["file"]).returncode == 0
    assert listed[0]["file"] in run(box, "restore", "--list").stdout


def test_a_backup_goes_through_a_pipe_and_over_the_network(box: DemoBox, tmp_path: Path) -> None:
    with (tmp_path / "piped.tar").open("wb") as output:
        subprocess.run(
            (PROGRAM, "--url", box.url, "--api-key", box.admin_key, "backup", "-"),
            env=os.environ,
            stdout=output,
            check=True,
        )
    members = archive_reading.verify(tmp_path / "piped.tar").members
    assert "hydra-box.db" in [one.name for one in members]
    refused = run(box.running, "--url", box.url, "--api-key", box.key, "backup", "-")
    assert (refused.returncode, refused.stdout) == (3, "")


def test_the_box_makes_a_backup_when_it_starts(start_box: StartBox) -> None:
    box = start_box()
    made = eventually(
        lambda: list(box.paths.backups.glob("*.db")), what="the first backup is there"
    )
    assert len(made) == 1


def test_a_file_that_exists_is_not_replaced_unasked(box: DemoBox, tmp_path: Path) -> None:
    file = tmp_path / "box.tar"
    file.write_text("mine")
    done = run(box.running, "backup", str(file))
    assert (done.returncode, file.read_text()) == (5, "mine")
    assert "--force" in done.stderr
    assert run(box.running, "backup", str(file), "--force").returncode == 0
    assert tarfile.is_tarfile(file)


def test_an_answer_that_is_cut_off_is_no_backup(ask: Cli, fake: FakeBox, tmp_path: Path) -> None:
    fake.says("GET /api/v1/backup", bytes(10_240))
    done = ask("backup", str(tmp_path / "box.tar"))
    assert done.status == 2
    assert "is no whole backup" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_box_elsewhere_that_does_not_answer(cli: Cli, home: Path, tmp_path: Path) -> None:
    resolve_paths({"HYDRA_BOX_HOME": str(home)}).create()
    done = cli("--url", "http://127.0.0.1:9", "backup", str(tmp_path / "box.tar"))
    assert done.status == 8
    assert list(tmp_path.iterdir()) == []


def test_there_is_nothing_to_back_up(cli: Cli, tmp_path: Path) -> None:
    done = cli("backup", str(tmp_path / "box.tar"), "--json")
    assert (done.status, done.json["error"]["code"]) == (4, "not_found")
    assert "has no database" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        *(("backup", "-", "--json"), ("restore",), ("restore", "box.tar", "--list")),
        ("--url", "http://127.0.0.1:9", "restore", "box.tar"),
    ],
)
def test_what_makes_no_sense(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli(*arguments).status == 2


def test_no_backups_yet(cli: Cli) -> None:
    assert "has made no backup yet" in cli("restore", "--list").err
    assert cli("restore", "--list", "--json").json == {"backups": []}
    missing = cli("restore", "missing.tar", "--json")
    assert (missing.status, missing.json["error"]["code"]) == (4, "not_found")
