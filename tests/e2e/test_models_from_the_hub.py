"""From a model's name to a chat answer: downloads, the library, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from hydra_box.messages import DeployRequest, PullRequest, ServiceView
from hydra_box.types import DownloadState, EngineName, Runtime, Scope, ServiceStatus
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e import hubs
from tests.e2e.commands import run, run_json
from tests.e2e.streams import chat, read_whole
from tests.engines.real_runtimes import lend
from tests.fakes.hub import FakeHub
from tests.waiting import eventually

Q8 = f"hf:{hubs.GGUF}:Q8_0"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub(tmp_path / "hub") as fake:
        hubs.fill(fake)
        yield fake


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def box(
    start_box: StartBox, hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> RunningBox:
    for name, value in hubs.environ(hub, cache).items():
        monkeypatch.setenv(name, value)
    return start_box()


def answer(box: RunningBox, service: ServiceView) -> str:
    key = box.key(f"for-{service.name}", Scope.INFERENCE)
    body = chat(service.access_name, "What is your name?", temperature=0)
    status, got = asyncio.run(read_whole(box.url, key, body))
    assert status == 200, got
    text = json.loads(got.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


def test_a_name_becomes_an_answer(box: RunningBox, hub: FakeHub, cache: Path) -> None:
    done = run(box, "deploy", Q8, "--name", "tiny", "--wait")
    assert done.returncode == 0, done.stderr
    assert "tiny is RUNNING" in done.stderr
    assert "Hydra" in answer(box, box.client.service("tiny"))
    # Nothing but the one file was fetched, and every program of the machine has it now.
    assert {one.path for one in hub.requests if one.origin == "cdn"} == {
        f"/{hubs.GGUF}/tiny-Q8_0.gguf"
    }
    found = huggingface_hub.hf_hub_download(
        hubs.GGUF, "tiny-Q8_0.gguf", cache_dir=cache, local_files_only=True
    )
    assert box.client.service("tiny").base_model == Q8
    (stored,) = box.client.library()
    assert (stored.name, stored.services) == (Q8, ("tiny",))
    assert stored.path == found
    assert stored.last_used_at is not None


def test_two_services_share_the_files_of_their_model(box: RunningBox, hub: FakeHub) -> None:
    for name in ("one", "two"):
        assert run(box, "deploy", Q8, "--name", name, "--wait").returncode == 0
    size = (hub.repository(hubs.GGUF) / "tiny-Q8_0.gguf").stat().st_size
    # Headers are read by ranges before; the file itself came once.
    assert sum(hub.pieces) < 2 * size
    (stored,) = box.client.library()
    assert stored.services == ("one", "two")
    shown = run(box, "models", "show", Q8)
    assert shown.returncode == 0, shown.stderr
    assert "files       on this machine" in shown.stdout
    assert "one, two" in shown.stdout
    refused = run(box, "models", "remove", Q8)
    assert refused.returncode == 5
    assert "one, two" in refused.stderr
    for name in ("one", "two"):
        assert run(box, "delete", name, "--confirm", name).returncode == 0
    removed = run_json(box, "models", "remove", Q8)
    assert removed["freed_bytes"] == size
    assert box.client.library() == ()


def test_what_is_here_is_served_without_the_hub(
    box: RunningBox, start_box: StartBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(box, "models", "pull", Q8).returncode == 0
    box.stop()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = start_box()
    refused = run(offline, "deploy", f"hf:{hubs.SAFETENSORS}")
    assert refused.returncode == 6
    assert "is switched off (HF_HUB_OFFLINE)" in refused.stderr
    assert run(offline, "deploy", Q8, "--name", "tiny", "--wait").returncode == 0
    assert run(offline, "deploy", f"hf:{hubs.GGUF}", "--name", "same", "--wait").returncode == 0


def test_a_download_is_paused_resumed_and_cancelled(
    start_box: StartBox, hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = hubs.add_big(hub).stat().st_size
    for name, value in hubs.environ(hub, cache).items():
        monkeypatch.setenv(name, value)
    # More than a minute, in which all of this happens.
    box = start_box(download_limit_bytes_per_second=1_000_000)
    model = f"hf:{hubs.BIG}:F32"
    client = box.client
    id = client.pull(PullRequest(model=model)).id
    eventually(lambda: client.download(id).transfer.done_bytes > 2_000_000, what="bytes come")
    moving = client.download(id)
    assert moving.state is DownloadState.DOWNLOADING
    assert moving.transfer.total_bytes == size
    paused = client.pause_download(id)
    assert paused.state is DownloadState.PAUSED
    assert 2_000_000 < paused.transfer.done_bytes < size
    service = client.deploy(DeployRequest(model=model, name="big", context_length=256))
    assert service.status is ServiceStatus.DEPLOYING
    assert service.download is not None
    # The service wants it, so it goes on; and cannot be taken away from it.
    assert service.download.state in (DownloadState.QUEUED, DownloadState.DOWNLOADING)
    refused = run(box, "models", "cancel", id)
    assert refused.returncode == 5
    assert f"big cannot start without {model}" in refused.stderr
    waiting = run(box, "models", "downloads")
    assert "services: big" in waiting.stdout
    assert run(box, "delete", "big", "--confirm", "big").returncode == 0
    # Somebody pulled the model itself: it goes on for them.
    assert client.download(id).state is not DownloadState.PAUSED
    assert run(box, "models", "cancel", model).returncode == 0
    assert client.downloads() == ()
    assert [one for one in cache.rglob("*") if one.is_file()] == []


def test_a_deleted_service_leaves_its_download_paused(
    start_box: StartBox, hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hubs.add_big(hub)
    for name, value in hubs.environ(hub, cache).items():
        monkeypatch.setenv(name, value)
    box = start_box(download_limit_bytes_per_second=2_000_000)
    request = DeployRequest(model=f"hf:{hubs.BIG}:F32", name="big", context_length=256)
    download = box.client.deploy(request).download
    assert download is not None
    shown = run_json(box, "status")["services"][0]
    assert (shown["status"], shown["download"]["id"]) == ("DEPLOYING", download.id)
    assert run(box, "delete", "big", "--confirm", "big").returncode == 0
    assert box.client.download(download.id).state is DownloadState.PAUSED


def test_progress_is_an_event(box: RunningBox, hub: FakeHub) -> None:
    hubs.add_big(hub)
    with_progress = box.client.events(after=0)
    id = box.client.pull(PullRequest(model=f"hf:{hubs.BIG}:F32")).id
    kinds = []
    for event in with_progress:
        if event.download_id == id:
            kinds.append(event.kind)
            if event.kind == "download.progress":
                assert event.transfer is not None
                assert event.id == 0
        if event.kind in ("download.done", "download.failed"):
            break
    assert kinds[:2] == ["download.queued", "download.started"]
    assert kinds[-1] == "download.done"


def test_errors_say_what_to_do(box: RunningBox, hub: FakeHub) -> None:
    hub.gated.add(hubs.GGUF)
    cases = {
        Q8: (3, f"{hubs.GGUF} is gated", f"{hub.url}/{hubs.GGUF}"),
        "hf:org/nothing": (4, "has no repository org/nothing", "check the name"),
        f"hf:{hubs.SAFETENSORS}:Q2_K": (4, "has no GGUF model 'Q2_K'", "it has no GGUF file"),
        f"hf:{hubs.SAFETENSORS}@v9": (4, "has no such revision", "/commits/main"),
    }
    for model, (status, fact, hint) in cases.items():
        done = run(box, "models", "pull", model)
        assert (done.returncode, fact in done.stderr, hint in done.stderr) == (
            status,
            True,
            True,
        ), done.stderr


def test_no_room_on_the_disk(
    start_box: StartBox, hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hubs.environ(hub, cache).items():
        monkeypatch.setenv(name, value)
    box = start_box(disk_reserve_bytes=1 << 60)
    done = run(box, "deploy", Q8)
    assert done.returncode == 9
    assert "needs 0.01 GiB of disk" in done.stderr or "needs" in done.stderr
    assert "stay free for the system" in done.stderr
    assert box.client.services() == ()
    assert box.client.downloads() == ()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_safetensors_on_vllm(
    start_box: StartBox,
    vllm_runtime: Runtime,
    hub: FakeHub,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in hubs.environ(hub, cache).items():
        monkeypatch.setenv(name, value)
    first = start_box()
    assert first.stop() == 0
    lend(vllm_runtime, first.paths)
    box = start_box()
    model = f"hf:{hubs.SAFETENSORS}"
    box.client.deploy(
        DeployRequest(
            model=model, name="on-vllm", engine=EngineName.VLLM, context_length=512, concurrency=2
        )
    )
    eventually(
        lambda: box.client.service("on-vllm").status is ServiceStatus.RUNNING,
        400,
        what="on-vllm is RUNNING",
    )
    assert "Hydra" in answer(box, box.client.service("on-vllm"))
    fetched = {Path(one.path).name for one in hub.requests if one.method == "GET"}
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= fetched
    assert fetched.isdisjoint({"pytorch_model.bin", "modeling_tiny.py"})


def test_the_library_knows_damage(box: RunningBox) -> None:
    assert run(box, "models", "pull", Q8).returncode == 0
    (stored,) = box.client.library()
    assert run(box, "models", "verify", Q8).returncode == 0
    path = Path(stored.path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    done = run(box, "models", "verify", Q8)
    assert done.returncode == 2
    assert "tiny-Q8_0.gguf" in done.stderr
    assert hashlib.sha256(content).hexdigest()[:8] in done.stderr
    assert f"hydra-box models pull {Q8}" in done.stderr
