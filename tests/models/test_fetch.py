"""Files from the hub into its cache: whole, checked, and no byte twice; whatever goes wrong."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import huggingface_hub
import msgspec
import pytest
from huggingface_hub import scan_cache_dir

from hydra_box.errors import (
    Conflict,
    DiskFull,
    DownloadFailed,
    Forbidden,
    NotFound,
    StateError,
    Unavailable,
)
from hydra_box.models.fetch import arrived_bytes, discard
from hydra_box.models.hub_cache import HubCache
from hydra_box.models.partial import PartialFile
from hydra_box.stoppable import Stopped
from tests.fakes.hub import FakeHub
from tests.models.fetching import BLOCK, PART, QUICK, REPOSITORY, a_fetch, listed, put, rest
from tests.waiting import eventually

SIZE = 40 * BLOCK + 321


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub(tmp_path / "hub") as fake:
        yield fake


@pytest.fixture
def cache(tmp_path: Path) -> HubCache:
    return HubCache(tmp_path / "cache")


def sent(hub: FakeHub) -> int:
    return hub.sent_bytes(REPOSITORY)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, PART, SIZE])
def test_files_arrive_as_they_are(hub: FakeHub, cache: HubCache, size: int) -> None:
    large = put(hub, "sub/model.safetensors", size)
    small = put(hub, "config.json", 100, seed=2)
    fetch = a_fetch(hub, cache)
    snapshot = fetch.run()
    assert (snapshot / "sub/model.safetensors").read_bytes() == large
    assert (snapshot / "config.json").read_bytes() == small
    assert fetch.done_bytes == size + 100 == fetch.fetched_bytes
    assert sent(hub) == size + 100
    assert rest(cache.root) == []
    again = a_fetch(hub, cache)
    assert again.run() == snapshot
    assert (again.fetched_bytes, sent(hub)) == (0, size + 100)


def test_every_program_finds_them(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.safetensors", SIZE)
    put(hub, "sub/config.json", 100)
    revision, _ = listed(hub)
    snapshot = a_fetch(hub, cache).run()
    cache.set_ref(REPOSITORY, "main", revision)
    found = huggingface_hub.snapshot_download(
        REPOSITORY, cache_dir=cache.root, local_files_only=True
    )
    assert Path(found) == snapshot
    info = scan_cache_dir(cache.root)
    assert info.warnings == []
    (repository,) = info.repos
    assert (repository.repo_id, repository.size_on_disk) == (REPOSITORY, SIZE + 100)


def test_what_another_program_fetched_is_not_fetched_again(
    hub: FakeHub, cache: HubCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(hub, "model.safetensors", SIZE)
    put(hub, "config.json", 100)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    huggingface_hub.snapshot_download(REPOSITORY, cache_dir=cache.root, endpoint=hub.url)
    before = sent(hub)
    fetch = a_fetch(hub, cache)
    fetch.run()
    assert (fetch.fetched_bytes, sent(hub)) == (0, before)


@pytest.mark.parametrize("seed", range(20))
def test_connections_that_break_at_any_byte(hub: FakeHub, cache: HubCache, seed: int) -> None:
    content = put(hub, "model.gguf", SIZE)
    chance = random.Random(seed)
    hub.breaks = iter([chance.randrange(PART) for _ in range(12)])
    snapshot = a_fetch(hub, cache, limits=msgspec.structs.replace(QUICK, most_tries=20)).run()
    assert (snapshot / "model.gguf").read_bytes() == content
    # What had come as a whole block was not fetched again.
    assert sent(hub) < SIZE + 13 * BLOCK


def test_connections_that_always_break_within_a_block(hub: FakeHub, cache: HubCache) -> None:
    content = put(hub, "model.gguf", SIZE)
    hub.breaks = repeat(BLOCK * 7 // 10)
    assert (a_fetch(hub, cache).run() / "model.gguf").read_bytes() == content


def test_an_error_is_not_held_up_by_a_hub_that_is_silent(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    of = listed(hub)
    silent = msgspec.structs.replace(QUICK, first_delay_seconds=3600, longest_delay_seconds=3600)
    hub.refusals = [(503, {}), (404, {"X_Error_Code": "EntryNotFound"})]
    with pytest.raises(NotFound):
        a_fetch(hub, cache, of=of, limits=silent).run()


def test_a_failed_fetch_leaves_a_cache_that_others_can_read(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    hub.refusals = [(404, {"X_Error_Code": "EntryNotFound"})] * 9
    with pytest.raises(NotFound):
        a_fetch(hub, cache).run()
    assert scan_cache_dir(cache.root).warnings == []


def test_a_commit_that_is_a_path_is_no_commit(hub: FakeHub) -> None:
    put(hub, "model.gguf", SIZE)
    hub.commit = lambda name: "../../../escaped"  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="is no commit"):
        listed(hub)


def test_a_hub_that_is_busy(hub: FakeHub, cache: HubCache) -> None:
    content = put(hub, "model.gguf", SIZE)
    hub.refusals = [(503, {}), (429, {"Retry-After": "0"}), (500, {})]
    fetch = a_fetch(hub, cache, limits=msgspec.structs.replace(QUICK, connections=1))
    assert (fetch.run() / "model.gguf").read_bytes() == content
    assert fetch.waiting is None


def test_a_hub_that_stays_busy(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    hub.refusals = [(503, {})] * 50
    fetch = a_fetch(hub, cache)
    with pytest.raises(Unavailable, match="answered HTTP 503"):
        fetch.run()
    assert "answered HTTP 503" in str(fetch.waiting)
    hub.refusals = []
    assert a_fetch(hub, cache).run().is_dir()


def test_a_hub_that_asks_for_patience(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", BLOCK)
    hub.refusals = [(429, {"Retry-After": "100"})]
    fetch = a_fetch(hub, cache)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            fetch.run()
        except Stopped as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: fetch.waiting, what="it waits")
    assert str(fetch.waiting).startswith("trying again in 100 s: the hub at ")
    fetch.stop()
    thread.join(60)
    assert len(failed) == 1


def test_a_network_that_is_down(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    of = listed(hub)
    gone = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN_PATH": "/nonexistent"}
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 cannot be reached"):
        a_fetch(hub, cache, environ=gone, of=of).run()
    off = {**hub.environ(), "HF_HUB_OFFLINE": "1"}
    with pytest.raises(Unavailable, match="switched off"):
        a_fetch(hub, cache, environ=off, of=of).run()


def test_ranges_that_are_not_known(hub: FakeHub, cache: HubCache) -> None:
    content = put(hub, "model.gguf", SIZE)
    hub.ignores_ranges = True
    assert (a_fetch(hub, cache).run() / "model.gguf").read_bytes() == content


def test_addresses_that_expire(hub: FakeHub, cache: HubCache) -> None:
    content = put(hub, "model.gguf", SIZE)
    hub.signature_uses = 2
    assert (a_fetch(hub, cache).run() / "model.gguf").read_bytes() == content
    # And they are used as long as they are good.
    asked = [one for one in hub.requests if one.origin == "hub" and "resolve" in one.path]
    assert len(asked) < len(hub.pieces)


def test_one_wrong_byte_is_found_and_mended(hub: FakeHub, cache: HubCache) -> None:
    content = put(hub, "model.gguf", SIZE)
    hub.spoilt = iter([True])
    assert (a_fetch(hub, cache).run() / "model.gguf").read_bytes() == content
    assert SIZE < sent(hub) <= 2 * SIZE


@pytest.mark.parametrize(("name", "kind"), [("model.gguf", "SHA-256"), ("a.json", "git SHA-1")])
def test_bytes_that_stay_wrong(hub: FakeHub, cache: HubCache, name: str, kind: str) -> None:
    put(hub, name, SIZE)
    hub.spoilt = repeat(True)
    with pytest.raises(DownloadFailed, match="came twice with the wrong checksum") as caught:
        a_fetch(hub, cache).run()
    digest = listed(hub)[1][0].digest
    assert f"its {kind} is " in caught.value.message
    assert f"the hub says {digest}" in caught.value.message
    assert [one for one in cache.root.rglob("*") if one.is_file()] == []


def test_a_file_that_changes_meanwhile(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    put(hub, "small.json", 100)
    of = listed(hub)
    hub.commit = lambda name: of[0]  # type: ignore[method-assign]
    put(hub, "model.gguf", SIZE, seed=9)
    with pytest.raises(DownloadFailed, match=r"its checksum was [0-9a-f]{64} and is") as caught:
        a_fetch(hub, cache, of=of).run()
    assert caught.value.hint == "hydra-box models pull fetches the new one"
    put(hub, "model.gguf", SIZE)
    put(hub, "small.json", 99)
    with pytest.raises(DownloadFailed, match="has changed on the hub"):
        a_fetch(hub, cache, of=of).run()


def test_a_file_that_is_gone(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    revision, files = listed(hub)
    hub.commit = lambda name: revision  # type: ignore[method-assign]
    (hub.repository(REPOSITORY) / "model.gguf").unlink()
    with pytest.raises(NotFound, match="has no such file"):
        a_fetch(hub, cache, of=(revision, files)).run()


def test_the_token_goes_to_the_hub_alone(hub: FakeHub, cache: HubCache) -> None:
    hub.private.add(REPOSITORY)
    put(hub, "model.gguf", SIZE)
    put(hub, "config.json", 10)
    of = listed(hub, token=hub.token)
    a_fetch(hub, cache, environ=hub.environ(token=hub.token), of=of).run()
    told = {(one.origin, one.token) for one in hub.requests}
    assert told == {("hub", hub.token), ("cdn", None)}


def test_refusals_name_the_way_out_and_no_secret(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    of = listed(hub)
    hub.gated.add(REPOSITORY)
    with pytest.raises(Forbidden, match="org/repo is gated") as caught:
        a_fetch(hub, cache, environ=hub.environ(token=hub.token), of=of).run()
    assert f"{hub.url}/{REPOSITORY}" in str(caught.value.hint)
    assert "hf auth login" in str(caught.value.hint)
    assert hub.token not in str(caught.value)
    hub.gated.clear()
    with pytest.raises(Forbidden, match="the token is not valid") as caught:
        a_fetch(hub, cache, environ=hub.environ(token="hf_other"), of=of).run()
    assert "hf_other" not in str(caught.value)


def test_stop_keeps_what_has_come(hub: FakeHub, cache: HubCache) -> None:
    content = put(hub, "model.gguf", SIZE)
    of = listed(hub)
    reached = threading.Event()

    def free_bytes(path: Path) -> int:
        if sent(hub) > SIZE // 2:
            reached.set()
        return 1 << 40

    fetch = a_fetch(hub, cache, of=of, free_bytes=free_bytes)

    def stop() -> None:
        reached.wait(30)
        fetch.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        fetch.run()
    except Stopped:
        kept = arrived_bytes(cache, REPOSITORY, *of)
        assert fetch.done_bytes == kept
    else:
        kept = SIZE
    stopper.join()
    again = a_fetch(hub, cache, of=of)
    assert (again.run() / "model.gguf").read_bytes() == content
    assert again.fetched_bytes == SIZE - kept


def test_stopped_before_it_began(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    fetch = a_fetch(hub, cache)
    fetch.stop()
    with pytest.raises(Stopped):
        fetch.run()
    assert sent(hub) == 0


def test_two_programs_do_not_mix(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    of = listed(hub)
    (file,) = of[1]
    blob = cache.blob(REPOSITORY, file.digest or "")
    blob.parent.mkdir(parents=True)
    with (
        PartialFile(blob, SIZE, BLOCK),
        pytest.raises(Conflict, match="another program is fetching"),
    ):
        a_fetch(hub, cache, of=of).run()
    assert a_fetch(hub, cache, of=of).run().is_dir()


def test_no_room_before_and_meanwhile(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    of = listed(hub)
    limits = msgspec.structs.replace(QUICK, reserve_bytes=SIZE)
    with pytest.raises(DiskFull, match="stay free for the system"):
        a_fetch(hub, cache, of=of, limits=limits, free_bytes=lambda _: 2 * SIZE - 1).run()
    assert sent(hub) == 0
    shrinking = iter(range(2 * SIZE, 0, -4 * BLOCK))
    with pytest.raises(DiskFull, match=r"of which .* stay free"):
        a_fetch(hub, cache, of=of, limits=limits, free_bytes=lambda _: next(shrinking)).run()
    kept = arrived_bytes(cache, REPOSITORY, *of)
    again = a_fetch(hub, cache, of=of, limits=limits, free_bytes=lambda _: 3 * SIZE)
    again.run()
    assert again.fetched_bytes == SIZE - kept


def test_a_cache_that_cannot_be_written(hub: FakeHub, tmp_path: Path) -> None:
    put(hub, "model.gguf", SIZE)
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be written: Not a directory"):
        a_fetch(hub, HubCache(tmp_path / "file" / "cache")).run()


def test_discarded_is_gone(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    put(hub, "whole.gguf", BLOCK, seed=3)
    of = listed(hub)
    hub.breaks = iter([BLOCK * 3, *([0] * 100)])
    # One after the other: those that get nothing give up, and might be faster than who gets some.
    limits = msgspec.structs.replace(QUICK, connections=1)
    with pytest.raises(Unavailable):
        a_fetch(hub, cache, of=of, limits=limits).run()
    assert 0 < arrived_bytes(cache, REPOSITORY, *of) < SIZE + BLOCK
    discard(cache, REPOSITORY, of[1])
    assert rest(cache.root) == []
    assert arrived_bytes(cache, REPOSITORY, *of) == 0


def test_without_links_nothing_is_fetched_twice(
    hub: FakeHub, cache: HubCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    put(hub, "model.gguf", SIZE)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    a_fetch(hub, cache).run()
    again = a_fetch(hub, cache, free_bytes=lambda _: 0)
    assert again.done_bytes == SIZE
    assert again.run().is_dir()
    assert again.fetched_bytes == 0


def test_nothing_is_left_behind_by_a_failure(hub: FakeHub, cache: HubCache) -> None:
    put(hub, "model.gguf", SIZE)
    hub.refusals = [(503, {})] * 50
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(Unavailable):
            a_fetch(hub, cache).run()
    eventually(lambda: threading.active_count() <= before + 2, what="the threads are gone")
