"""The support bundle: what helps is in it; secrets and prompts, planted everywhere, are not."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from hydra_box import support_bundle
from hydra_box.client import Client
from hydra_box.config import resolve_paths
from hydra_box.messages import CreateKeyRequest
from hydra_box.types import Scope
from tests.cli.conftest import Cli
from tests.conftest import DemoBox, StartBox
from tests.waiting import eventually

PROMPT = "whisper-the-plan-of-the-merger"
UPSTREAM_KEY = "upstream+key/of==the.other=endpoint"
HUB_TOKEN = "hf_" + "Tk" * 17
PLANTED = "planted-value-without-any-shape"


def bundle(environ: dict[str, str], **how: Any) -> dict[str, str]:
    """Its files, by name."""
    output = io.BytesIO()
    remote = how.pop("remote", False)
    with Client.connect(url=None, api_key=None, environ=environ) as client:
        support_bundle.write(output, client, environ, remote=remote)
    output.seek(0)
    found = {}
    with tarfile.open(fileobj=output) as tar:
        for info in tar.getmembers():
            file = tar.extractfile(info)
            assert file is not None
            assert info.mode == 0o600
            found[info.name.removeprefix("hydra-box-support/")] = file.read().decode()
    return found


def test_secrets_that_are_planted_everywhere_are_not_in_it(
    start_box: StartBox, tmp_path: Path
) -> None:
    box = start_box()
    secret = box.key("laptop", Scope.INFERENCE)
    created = box.client.create_key(CreateKeyRequest(name="second"))
    (box.home / "models.toml").write_text(f'# password = "{PLANTED}"\n')
    (box.paths.upstream_keys / "up-0.key").write_text(UPSTREAM_KEY)
    hub = tmp_path / "hub"
    hub.mkdir()
    (hub / "token").write_text(HUB_TOKEN)
    logs = {
        "daemon.log": f"INFO Authorization: Bearer {secret}\nsent {UPSTREAM_KEY} to it\n",
        "demo-00000001.log": (
            f"x-api-key: {created.key}\n"
            f"Received request: prompt: '{PROMPT}', params: 1\n"
            f'{{"messages": [{{"role": "user", "content": "{PROMPT}"}}]}}\n'
            f"GET https://user:{PLANTED}@hub.test/x?sig={PLANTED}\n"
            f"--hf-token {PLANTED}\n{HUB_TOKEN}\nslot 0: 128 tokens\n"
        ),
    }
    for name, text in logs.items():
        (box.paths.logs / name).write_text(text)
    headers = {"Authorization": f"Bearer {secret}"}
    body = {"model": "public/none", "messages": [{"role": "user", "content": PROMPT}]}
    httpx.post(f"{box.url}/v1/chat/completions", json=body, headers=headers, timeout=30)
    environ = {**box.environ, "HF_HOME": str(hub), "SOME_PASSWORD": PLANTED}
    eventually(
        lambda: any(one.kind == "key.created" for one in box.client.recent_events()),
        what="the event is stored",
    )

    found = bundle(environ)
    everything = "\n".join(found.values())
    for planted in (secret, created.key, UPSTREAM_KEY, HUB_TOKEN, PROMPT, PLANTED):
        assert planted not in everything
    assert {
        *("about.json", "status.json", "machine.json", "engines.json", "events.json"),
        *("doctor.json", "settings.json", "database.json", "disk.json", "library.json"),
        *("downloads.json", "logs/daemon.log", "logs/demo-00000001.log"),
    } == set(found)
    assert json.loads(found["status.json"])["pid"] == box.process.pid
    assert json.loads(found["database.json"])["rows"]["keys"] == 2
    assert json.loads(found["database.json"])["quick_check"] == "ok"
    assert any(one["kind"] == "key.created" for one in json.loads(found["events.json"])["events"])
    assert "httpx" in json.loads(found["about.json"])["packages"]
    assert "HYDRA_BOX_HOME" in json.loads(found["settings.json"])["variables"]
    assert json.loads(found["disk.json"])["size_bytes"]["hydra-box.db"] > 0
    assert "slot 0: 128 tokens" in found["logs/demo-00000001.log"]
    assert "INFO Authorization: Bearer" in found["logs/daemon.log"]


def test_it_needs_no_daemon(home: Path) -> None:
    environ = {**os.environ, "HYDRA_BOX_HOME": str(home), "HYDRA_BOX_PORT": "0"}
    resolve_paths(environ).create()
    found = bundle(environ)
    assert "no daemon answers" in found["status.json"]
    assert json.loads(found["doctor.json"])["findings"]
    assert json.loads(found["settings.json"])["settings"]["port"] == 0
    assert "hydra-box.db" in json.loads(found["database.json"])["error"]["message"]


def test_the_end_of_a_long_log_begins_with_a_whole_line(home: Path) -> None:
    environ = {**os.environ, "HYDRA_BOX_HOME": str(home), "HYDRA_BOX_PORT": "0"}
    paths = resolve_paths(environ)
    paths.create()
    line = "hb-" + "k" * 43 + "\n"
    long = line * (2 + support_bundle.INSTANCE_LOG_BYTES // len(line))
    (paths.logs / "demo-00000001.log").write_text(long)
    (text,) = [one for name, one in bundle(environ).items() if name.startswith("logs/")]
    assert set(text.splitlines()) == {"hb-[redacted]"}


def test_a_box_on_another_machine_gets_nothing_of_this_one(
    home: Path, box: DemoBox, cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "bundle.tar.gz"
    done = cli(
        *("--url", box.url, "--api-key", box.admin_key),
        *("support-bundle", str(file), "--json"),
    )
    assert done.status == 0, done.err
    assert done.json == {"file": str(file), "size_bytes": file.stat().st_size}
    with tarfile.open(file) as tar:
        names = {one.name.removeprefix("hydra-box-support/") for one in tar.getmembers()}
    assert "status.json" in names
    assert not {"settings.json", "database.json", "disk.json"} & names


def test_a_file_that_exists_is_not_replaced_unasked(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar.gz"
    file.write_text("mine")
    done = cli("support-bundle", str(file))
    assert done.status == 5
    assert "exists" in done.err
    assert file.read_text() == "mine"
    assert cli("support-bundle", str(file), "--force").status == 0
    assert tarfile.is_tarfile(file)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("missing", ["a-directory", "missing/bundle.tar.gz"])
def test_a_file_that_cannot_be_written(cli: Cli, tmp_path: Path, missing: str) -> None:
    (tmp_path / "a-directory").mkdir()
    done = cli("support-bundle", str(tmp_path / missing), "--force")
    assert done.status == 9
    assert "cannot be written" in done.err
