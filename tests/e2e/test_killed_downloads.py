"""Daemons that are killed while they fetch: every file is right at the end."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_box.messages import PullRequest
from hydra_box.models.fetch import FetchLimits
from hydra_box.types import DownloadState
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e import hubs
from tests.fakes.hub import FakeHub
from tests.waiting import eventually

KILLS = int(os.environ.get("FAULT_ROUNDS", "8"))
BYTES_PER_SECOND = 10_000_000
"""Of each connection: slow enough to be killed anywhere, as the file takes about a second."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub(tmp_path / "hub", bytes_per_second=BYTES_PER_SECOND) as fake:
        yield fake


def test_kills_at_any_moment(
    start_box: StartBox,
    hub: FakeHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = hubs.add_big(hub)
    size = source.stat().st_size
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    model = f"hf:{hubs.BIG}:F32"
    chance = random.Random(4)
    twice = []
    for name, value in hubs.environ(hub, tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    box = start_box()
    for _ in range(KILLS):
        fetched = box.client.pull(PullRequest(model=model)).id
        before = hub.sent_bytes(hubs.BIG)
        _until_sent(hub, before + int(chance.random() * size))
        box.process.kill()
        box.process.wait()
        box.client.close()
        box = start_box()
        _until_done(box, fetched)
        (stored,) = box.client.library()
        assert hashlib.sha256(Path(stored.path).read_bytes()).hexdigest() == digest
        twice.append(hub.sent_bytes(hubs.BIG) - before - size)
        assert twice[-1] <= FetchLimits().part_bytes
        assert box.client.remove_model(model).freed_bytes == size
        box.client.cancel_download(fetched)
    print(
        f"{KILLS} kills, {size:,} bytes each time: at most {max(twice):,} fetched twice, "
        f"{sum(twice) // KILLS:,} at the mean"
    )


def _until_sent(hub: FakeHub, count: int) -> None:
    eventually(lambda: hub.sent_bytes(hubs.BIG) >= count, what=f"{count:,} bytes are sent")


def _until_done(box: RunningBox, id: str) -> None:
    def is_done() -> bool:
        return box.client.download(id).state is DownloadState.DONE

    eventually(is_done, what="the download is done")
