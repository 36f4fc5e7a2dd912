"""The hub's cache: where it is, what is in it, and what removing takes away."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.models.hub_cache import HubCache, cache_directory
from hydra_box.types import ModelFile

REPOSITORY = "org/repo"
OLD, NEW = "0" * 40, "1" * 40


@pytest.mark.parametrize(
    ("environ", "setting", "place"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b", "HOME": "/c"}, "/set", "/set"),
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b", "HOME": "/c"}, "", "/a"),
        ({"HF_HOME": "/b", "XDG_CACHE_HOME": "/x", "HOME": "/c"}, "", "/b/hub"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/c"}, "", "/x/huggingface/hub"),
        ({"HOME": "/c"}, "", "/c/.cache/huggingface/hub"),
        ({}, "", "/state/hub"),
    ],
)
def test_where_it_is(environ: dict[str, str], setting: str, place: str) -> None:
    assert cache_directory(environ, setting, Path("/state")) == Path(place)


@pytest.fixture
def cache(tmp_path: Path) -> HubCache:
    return HubCache(tmp_path)


def put(cache: HubCache, revision: str, name: str, content: bytes, digest: str) -> ModelFile:
    """A file at a commit, as a fetch leaves it."""
    file = ModelFile(name=name, size_bytes=len(content), digest=digest * 64)
    blob = cache.blob(REPOSITORY, digest * 64)
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    cache.link(REPOSITORY, revision, file)
    return file


def test_a_link_is_relative_and_leads_to_the_blob(cache: HubCache) -> None:
    file = put(cache, NEW, "sub/model.gguf", b"model", "a")
    place = cache.snapshot(REPOSITORY, NEW) / "sub/model.gguf"
    assert not place.readlink().is_absolute()
    assert place.read_bytes() == b"model"
    assert cache.has(REPOSITORY, file)
    assert cache.is_linked(REPOSITORY, NEW, file)
    assert not cache.is_linked(REPOSITORY, OLD, file)
    # Again is no error.
    cache.link(REPOSITORY, NEW, file)
    assert place.read_bytes() == b"model"


def test_a_file_system_without_links(cache: HubCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    file = put(cache, NEW, "model.gguf", b"model", "a")
    assert (cache.snapshot(REPOSITORY, NEW) / "model.gguf").read_bytes() == b"model"
    assert cache.is_linked(REPOSITORY, NEW, file)
    assert cache.remove(REPOSITORY, NEW, [file]) == 5
    assert list(cache.root.iterdir()) == []


def test_removing_keeps_what_others_have(cache: HubCache) -> None:
    shared = put(cache, OLD, "config.json", b"shared", "a")
    put(cache, NEW, "config.json", b"shared", "a")
    small = put(cache, NEW, "Q4.gguf", b"four", "b")
    large = put(cache, NEW, "Q8.gguf", b"eight bytes", "c")
    cache.set_ref(REPOSITORY, "main", NEW)
    assert cache.remove(REPOSITORY, NEW, [small]) == 4
    assert not cache.has(REPOSITORY, small)
    assert cache.is_linked(REPOSITORY, NEW, large)
    main = cache.repository(REPOSITORY) / "refs" / "main"
    assert main.read_text() == NEW
    assert cache.remove(REPOSITORY, NEW, [large, shared]) == 11
    assert cache.is_linked(REPOSITORY, OLD, shared)
    # The commit is gone, and so is the branch that led to it.
    assert not main.exists()
    assert cache.remove(REPOSITORY, OLD, [shared]) == 6
    assert list(cache.root.iterdir()) == []


def test_what_is_gone_already_is_no_error(cache: HubCache) -> None:
    file = ModelFile(name="model.gguf", size_bytes=1, digest="a" * 64)
    assert cache.remove(REPOSITORY, NEW, [file]) == 0
    assert not cache.has(REPOSITORY, file)
