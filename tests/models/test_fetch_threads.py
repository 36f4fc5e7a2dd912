"""A fetch's threads: they keep their connections, end together, and leave each other's files."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from hydra_box.errors import NotFound
from hydra_box.models import hub_client
from hydra_box.models.fetch import Fetch, RateLimit
from hydra_box.models.hub_cache import HubCache
from hydra_box.stoppable import Stopped
from hydra_box.types import ModelFile
from tests.fakes.hub import FakeHub
from tests.models.fetching import BLOCK, PART, QUICK, REPOSITORY, a_fetch, listed, put
from tests.waiting import eventually

GONE = b"HTTP/1.1 404 Not Found\r\nX-Error-Code: EntryNotFound\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub(tmp_path / "hub") as fake:
        yield fake


@pytest.fixture
def cache(tmp_path: Path) -> HubCache:
    return HubCache(tmp_path / "cache")


def test_a_connection_is_used_for_many_parts(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", 20 * PART)
    of = listed(hub)
    hub.connections.clear()
    limits = msgspec.structs.replace(QUICK, connections=1)
    a_fetch(hub, cache, of=of, limits=limits).run()
    assert len(hub.pieces) >= 20
    # One for the redirect, one for all that it led to.
    assert hub.connections == ["hub", "cdn"]


def test_a_connection_is_used_for_many_files(hub: FakeHub, cache: HubCache) -> None:
    for number in range(20):
        put(hub, f"{number}.json", 100, seed=number)
    of = listed(hub)
    hub.connections.clear()
    a_fetch(hub, cache, of=of).run()
    assert hub.connections == ["hub"]


@pytest.mark.timeout(60)
def test_a_refusal_does_not_wait_for_who_is_pausing(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", 8 * PART)
    of = listed(hub)
    hub.refusals = [(429, {"Retry-After": "90"}), (404, {"X-Error-Code": "EntryNotFound"})]
    with pytest.raises(NotFound):
        a_fetch(hub, cache, of=of).run()


@contextmanager
def silent_hub() -> Iterator[str]:
    """A hub whose first connection stays silent, and that has no such file on all others."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:
                    # The test is over.
                    return
                if len(connections) > 1:
                    connections[-1].sendall(GONE)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for one in connections:
        one.close()


@pytest.mark.timeout(60)
def test_a_refusal_does_not_wait_for_who_hears_nothing(
    cache: HubCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_client, "READ_SECONDS", 90.0)
    file = ModelFile(name="model.gguf", size_bytes=8 * PART, digest="a" * 64)
    with silent_hub() as url:
        environ = {"HF_ENDPOINT": url, "HF_TOKEN_PATH": "/nonexistent"}
        fetch = Fetch(environ, cache, REPOSITORY, "0" * 40, [file], limits=QUICK, rate=RateLimit(0))
        with pytest.raises(NotFound):
            fetch.run()


def test_downloads_with_a_file_in_common(hub: FakeHub, cache: HubCache) -> None:
    size = 40 * BLOCK
    put(hub, "mmproj.gguf", size)
    names = [f"Q{number}.gguf" for number in range(3)]
    for name in names:
        put(hub, name, BLOCK, seed=random.Random(name).randrange(2, 1000))
    revision, files = listed(hub)
    found = {one.name: one for one in files}
    hub.bytes_per_second = 4 * size
    fetches = [
        a_fetch(hub, cache, of=(revision, (found["mmproj.gguf"], found[name]))) for name in names
    ]
    with ThreadPoolExecutor(len(fetches)) as pool:
        for done in [pool.submit(one.run) for one in fetches]:
            assert done.result().is_dir()
    assert hub.sent_bytes(REPOSITORY) == size + len(names) * BLOCK
    assert [one.waiting for one in fetches] == [None] * len(names)


def test_who_waits_for_another_download_can_be_stopped(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", BLOCK)
    of = listed(hub)
    blob = cache.blob(REPOSITORY, of[1][0].digest or "")
    cache.claims.take(blob, threading.Event())
    fetch = a_fetch(hub, cache, of=of)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(fetch.run)
        eventually(lambda: fetch.waiting, what="it waits")
        assert fetch.waiting == "model.gguf is being fetched by another download"
        fetch.stop()
        with pytest.raises(Stopped):
            running.result()
    assert hub.pieces == []
