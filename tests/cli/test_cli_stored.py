"""``hydra-box models pull`` and the other verbs about files, against a scripted box."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hydra_box.cli.transfer_bar import amounts, bar
from hydra_box.errors import Conflict
from hydra_box.messages import DownloadView, RemovedModel, StoredModelView
from hydra_box.types import (
    DownloadState,
    FoundModel,
    ModelFile,
    StoredAs,
    Transfer,
    WeightFormat,
)
from tests.cli.conftest import Cli
from tests.cli.fake_box import FakeBox

GIB = 1024**3
MODEL = "hf:someone/tiny:Q8_0"
ID = "dl-0123456789ab"
FILES = (ModelFile(name="tiny-Q8_0.gguf", size_bytes=4 * GIB, digest="a" * 64),)


def a_download(state: DownloadState, done_bytes: int, **changes: Any) -> DownloadView:
    values: dict[str, Any] = {
        "id": ID,
        "model": MODEL,
        "repository": "someone/tiny",
        "revision": "0" * 40,
        "format": WeightFormat.GGUF,
        "quantization": "Q8_0",
        "state": state,
        "files": FILES,
        "transfer": Transfer(done_bytes=done_bytes, total_bytes=4 * GIB),
        "created_at": 1.0,
        "finished_at": None,
        "reason": None,
        "services": (),
    }
    return DownloadView(**values | changes)


def a_stored(**changes: Any) -> StoredModelView:
    values: dict[str, Any] = {
        "id": "mdl-1",
        "name": MODEL,
        "stored_as": StoredAs.HUB,
        "path": "/cache/tiny-Q8_0.gguf",
        "format": WeightFormat.GGUF,
        "quantization": "Q8_0",
        "repository": "someone/tiny",
        "revision": "0" * 40,
        "files": FILES,
        "size_bytes": 4 * GIB,
        "allows_code": False,
        "added_at": 1.0,
        "verified_at": None,
        "last_used_at": None,
        "problem": None,
        "services": ("chat",),
    }
    return StoredModelView(**values | changes)


@pytest.mark.parametrize(
    ("transfer", "shown"),
    [
        (Transfer(done_bytes=0, total_bytes=4 * GIB), "[....................]   0 %"),
        (Transfer(done_bytes=GIB, total_bytes=4 * GIB), "[#####...............]  25 %"),
        (Transfer(done_bytes=4 * GIB - 1, total_bytes=4 * GIB), "[###################.]  99 %"),
        (Transfer(done_bytes=4 * GIB, total_bytes=4 * GIB), "[####################] 100 %"),
        (Transfer(done_bytes=0, total_bytes=0), "[####################] 100 %"),
    ],
)
def test_a_bar_is_full_only_at_the_end(transfer: Transfer, shown: str) -> None:
    assert bar(transfer) == shown


def test_amounts_with_speed_and_the_time_that_is_left() -> None:
    moving = Transfer(
        done_bytes=GIB, total_bytes=4 * GIB, bytes_per_second=GIB / 2, remaining_seconds=6.0
    )
    assert amounts(moving) == "1.0 GiB of 4.0 GiB, 512.0 MiB/s, 6 s left"
    assert amounts(Transfer(done_bytes=5, total_bytes=10)) == "5 B of 10 B"


def test_pull_waits_until_the_model_is_here(ask: Cli, fake: FakeBox) -> None:
    fake.says("POST /api/v1/downloads", a_download(DownloadState.QUEUED, 0))
    fake.says(
        f"GET /api/v1/downloads/{ID}",
        a_download(DownloadState.DOWNLOADING, GIB, reason="retrying in 8 s: the hub is busy"),
        a_download(DownloadState.DONE, 4 * GIB),
    )
    done = ask("models", "pull", MODEL, "--allow-code")
    assert done.status == 0, done.err
    assert "[#####...............]  25 % 1.0 GiB of 4.0 GiB: retrying in 8 s" in done.err
    assert f"{MODEL} is here, 4.0 GiB" in done.err
    (body,) = fake.bodies("POST /api/v1/downloads")
    assert (body["model"], body["allow_code"]) == (MODEL, True)


def test_pull_that_fails_says_why_and_how_to_go_on(ask: Cli, fake: FakeBox) -> None:
    fake.says("POST /api/v1/downloads", a_download(DownloadState.QUEUED, 0))
    failed = a_download(DownloadState.FAILED, GIB, reason="the hub is gone; hint: check the net")
    fake.says(f"GET /api/v1/downloads/{ID}", failed)
    done = ask("models", "pull", MODEL)
    assert done.status == 6
    assert f"the download of {MODEL} failed: the hub is gone" in done.err
    assert f"hint: check the net; hydra-box models resume {ID} goes on" in done.err


def test_a_download_is_named_by_its_model_too(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/downloads", [a_download(DownloadState.DOWNLOADING, GIB)])
    fake.says(f"POST /api/v1/downloads/{ID}/pause", a_download(DownloadState.PAUSED, GIB))
    done = ask("models", "pause", MODEL)
    assert done.status == 0, done.err
    assert "paused" in done.out
    assert "1.0 GiB of 4.0 GiB" in done.out
    done = ask("models", "pause", "hf:someone/tinny:Q8_0")
    assert done.status == 4
    assert f"did you mean {MODEL}" in done.err


def test_downloads_tell_what_they_wait_for(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/downloads", [])
    assert "hydra-box models pull" in ask("models", "downloads").out
    view = a_download(DownloadState.FAILED, GIB, reason="no room", services=("chat", "code"))
    fake.says("GET /api/v1/downloads", [view])
    out = ask("models", "downloads").out
    assert "no room" in out
    assert "services: chat, code" in out
    assert json.loads(ask("models", "downloads", "--json").out)["downloads"][0]["id"] == ID


def test_the_library_shows_size_use_and_health(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/library", [a_stored(problem="tiny-Q8_0.gguf has changed")])
    done = ask("models", "stored")
    assert "4.0 GiB" in done.out
    assert "chat" in done.out
    assert "damaged" in done.out
    assert "tiny-Q8_0.gguf has changed" in done.err


def test_verify_fails_on_a_damaged_model(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/library", [a_stored()])
    fake.says("POST /api/v1/library/mdl-1/verify", a_stored(problem="one byte is another"))
    done = ask("models", "verify", MODEL)
    assert done.status == 2
    assert "one byte is another" in done.err
    assert f"hydra-box models remove {MODEL}, then hydra-box models pull {MODEL}" in done.err


def test_remove_says_what_is_free_again(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/library", [a_stored()])
    removed = RemovedModel(name=MODEL, freed_bytes=4 * GIB)
    fake.says("DELETE /api/v1/library/mdl-1", removed)
    assert "4.0 GiB are free again" in ask("models", "remove", MODEL).err
    fake.says("DELETE /api/v1/library/mdl-1", Conflict("chat uses it", hint="delete it"))
    done = ask("models", "remove", MODEL)
    assert done.status == 5
    assert "chat uses it" in done.err


def test_import_gives_the_daemon_a_whole_path(ask: Cli, fake: FakeBox, tmp_path: Path) -> None:
    fake.says("POST /api/v1/library", a_stored(name="tiny", stored_as=StoredAs.COPY))
    done = ask("models", "import", str(tmp_path / "tiny.gguf"), "--copy", "--name", "tiny")
    assert done.status == 0, done.err
    assert "hydra-box deploy tiny serves it" in done.err
    (body,) = fake.bodies("POST /api/v1/library")
    assert body["path"] == str(tmp_path / "tiny.gguf")
    assert (body["copy"], body["name"]) == (True, "tiny")


def test_scan_shows_the_command_that_imports(ask: Cli, fake: FakeBox) -> None:
    model = FoundModel(
        name="qwen2-0.5b",
        source="Ollama",
        path="/home/me/.ollama/models/blobs/sha256-ab c",
        format=WeightFormat.GGUF,
        quantization="Q4_0",
        size_bytes=GIB,
        projector="/p.gguf",
    )
    known = FoundModel(
        name=MODEL,
        source="Hugging Face cache",
        path="/cache/x.gguf",
        format=WeightFormat.GGUF,
        quantization="Q8_0",
        size_bytes=GIB,
        in_library=True,
    )
    fake.says("GET /api/v1/library/found", [model, known])
    out = ask("models", "scan").out
    assert "hydra-box models import '/home/me/.ollama/models/blobs/sha256-ab c'" in out
    assert "--name qwen2-0.5b --projector /p.gguf" in out
    assert "is in the library" in out
    fake.says("GET /api/v1/library/found", [])
    assert "no models of other programs" in ask("models", "scan").out
