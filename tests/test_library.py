"""The library: what is on the disk, taken in, verified and removed, and never half."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from hydra_box.catalog import DEMO_MODEL, Catalog
from hydra_box.config import Paths, Settings
from hydra_box.errors import Conflict, DiskFull, InvalidRequest, NotFound, StateError
from hydra_box.library import Library
from hydra_box.messages import ImportRequest
from hydra_box.models.facts import read_facts
from hydra_box.models.hub_cache import HubCache, cache_directory
from hydra_box.stoppable import Stopped, go_on
from hydra_box.store import Store
from hydra_box.types import (
    DesiredState,
    Download,
    ModelFile,
    Service,
    StoredAs,
    StoredModel,
    WeightFormat,
)
from tests.models.headers import write_projector
from tests.models.other_stores import (
    COMMIT,
    files_in,
    hub_digest,
    hub_snapshot,
    ollama_model,
    sha256,
)
from tests.models.tiny_gguf import write_tiny_gguf
from tests.samples import a_service
from tests.told import Told
from tests.waiting import eventually

DEMO_DIRECTORY = DEMO_MODEL.parent / "hydra-box-demo-hf"
OLDER = "a" * 40
MUCH = 2**60


@dataclass
class World:
    """A user's files, a box's state, and its library."""

    root: Path
    store: Store
    settings: Settings = field(default_factory=Settings)
    services: list[Service] = field(default_factory=list)
    now: float = 1000.0
    told: Told = field(default_factory=Told)

    def __post_init__(self) -> None:
        self.environ = {"HOME": str(self.root / "user")}
        self.paths = Paths(home=self.root / "state", run=self.root / "run")
        self.cache = HubCache(cache_directory(self.environ, "", self.paths.home))
        self.library = self.another()

    def another(self) -> Library:
        """The library of the next daemon."""
        return Library(
            store=self.store,
            paths=self.paths,
            cache=self.cache,
            settings=self.settings,
            environ=self.environ,
            services=lambda: self.services,
            record=self.told,
            clock=lambda: self.now,
        )

    async def restarted(self) -> Library:
        """The next daemon's library, loaded."""
        self.library = self.another()
        await self.library.load()
        return self.library

    async def add(self, path: Path, **values: Any) -> StoredModel:
        """Import what is at a path."""
        return await self.library.import_(ImportRequest(path=str(path), **values))

    def serve(self, model: StoredModel, name: str = "qwen2", **values: Any) -> None:
        """Have a service use a model."""
        self.services.append(a_service(name, model_path=model.path, **values))

    def download(
        self, files: dict[str, Path], quantization: str | None = "Q8_0", revision: str = COMMIT
    ) -> Download:
        """A download that has just brought these files of ``org/tiny`` into the cache."""
        for one in files.values():
            assert one.is_file()
        snapshot = self.cache.snapshot("org/tiny", revision)
        hub_snapshot(
            self.cache.root,
            "org/tiny",
            {name: one for name, one in files.items() if not (snapshot / name).exists()},
            revision=revision,
        )
        return Download(
            id="dl-0123456789ab",
            model=f"hf:org/tiny:{quantization}",
            repository="org/tiny",
            revision=revision,
            format=WeightFormat.GGUF if quantization else WeightFormat.SAFETENSORS,
            quantization=quantization,
            files=tuple(
                ModelFile(name=name, size_bytes=one.stat().st_size, digest=hub_digest(one))
                for name, one in files.items()
            ),
            created_at=1.0,
        )

    def blobs(self) -> set[str]:
        """Checksums of the files of ``org/tiny`` that are in the cache."""
        directory = self.cache.repository("org/tiny") / "blobs"
        return {one.name for one in directory.iterdir()} if directory.exists() else set()


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await Store.open(tmp_path / "hydra-box.db")
    yield World(tmp_path, store)
    await store.close()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    return write_tiny_gguf(tmp_path / "files" / "tiny.gguf")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "other.gguf", context_length=256)


def is_there(path: str | Path) -> bool:
    return Path(path).exists()


def content(path: str | Path) -> bytes:
    return Path(path).read_bytes()


def size(path: Path) -> int:
    return path.stat().st_size


def move(path: Path, name: str) -> Path:
    return path.rename(path.with_name(name))


async def refused(world: World, path: Path, **values: Any) -> Conflict:
    with pytest.raises(Conflict) as caught:
        await world.add(path, **values)
    return caught.value


# --- downloads --------------------------------------------------------------------


async def test_a_download_becomes_a_model(world: World, tiny: Path) -> None:
    download = world.download({"sub/tiny-Q8_0.gguf": tiny})
    model = await world.library.add_download(download)
    assert model.id.startswith("mdl-")
    assert (model.name, model.stored_as) == ("hf:org/tiny:Q8_0", StoredAs.HUB)
    assert model.path == str(world.cache.snapshot("org/tiny", COMMIT) / "sub/tiny-Q8_0.gguf")
    assert (model.added_at, model.verified_at, model.last_used_at) == (1000.0, 1000.0, None)
    assert (model.files, model.problem) == (download.files, None)
    assert world.library.list() == (model,)
    assert (await world.restarted()).list() == (model,)


async def test_a_directory_from_the_hub_is_named_by_its_repository(world: World) -> None:
    files = files_in(DEMO_DIRECTORY)
    ordered = {"model.safetensors": files.pop("model.safetensors"), **files}
    model = await world.library.add_download(world.download(ordered, None))
    assert (model.name, model.format) == ("hf:org/tiny", WeightFormat.SAFETENSORS)
    assert model.path == str(world.cache.snapshot("org/tiny", COMMIT))
    assert (await world.library.verify(model.name)).problem is None


async def test_a_new_revision_takes_the_place_of_the_old_one(
    world: World, tiny: Path, other: Path
) -> None:
    old = await world.library.add_download(world.download({"t.gguf": tiny}, revision=OLDER))
    await world.library.touch(old.path)
    new = await world.library.add_download(world.download({"t.gguf": other}))
    assert (new.id, new.name, new.last_used_at) == (old.id, old.name, 1000.0)
    assert world.library.list() == (new,)
    assert not is_there(old.path)
    assert world.blobs() == {sha256(other)}


async def test_the_old_revision_stays_where_a_service_uses_it(
    world: World, tiny: Path, other: Path
) -> None:
    old = await world.library.add_download(world.download({"t.gguf": tiny}, revision=OLDER))
    world.serve(old)
    await world.library.add_download(world.download({"t.gguf": other}))
    assert read_facts(Path(old.path)).context_length == 512
    assert world.blobs() == {sha256(tiny), sha256(other)}


async def test_what_both_revisions_have_stays(world: World, tiny: Path, other: Path) -> None:
    files = {"t.gguf": tiny, "mmproj.gguf": other}
    await world.library.add_download(world.download(files, revision=OLDER))
    new = await world.library.add_download(world.download(files))
    assert (await world.library.verify(new.name)).problem is None
    assert not world.cache.snapshot("org/tiny", OLDER).exists()


async def test_a_second_file_of_one_quantisation_is_named_by_itself(
    world: World, tiny: Path, other: Path
) -> None:
    first = await world.library.add_download(world.download({"a.gguf": tiny}))
    second = await world.library.add_download(world.download({"b.gguf": other}))
    again = await world.library.add_download(world.download({"a.gguf": tiny}))
    assert [one.name for one in world.library.list()] == ["hf:org/tiny:Q8_0", "hf:org/tiny:b.gguf"]
    assert (again.id, again.path) == (first.id, first.path)
    assert second.path.endswith("/b.gguf")


async def test_a_download_of_what_was_imported_keeps_its_name(world: World, tiny: Path) -> None:
    download = world.download({"t.gguf": tiny})
    path = world.cache.snapshot("org/tiny", COMMIT) / "t.gguf"
    imported = await world.add(path, name="mine")
    assert imported.stored_as is StoredAs.HUB
    model = await world.library.add_download(download)
    assert (model.id, model.name, model.verified_at) == (imported.id, "mine", 1000.0)


# --- finding ------------------------------------------------------------------------


async def test_models_are_known_by_name_id_and_path(world: World, tiny: Path) -> None:
    model = await world.add(tiny)
    for known in (model.name, model.id, model.path):
        assert world.library.get(known) == model
    with pytest.raises(NotFound) as caught:
        world.library.get("tinny")
    assert caught.value.message == "the library has no model 'tinny'"
    assert caught.value.hint == "did you mean tiny?"
    with pytest.raises(NotFound) as caught:
        world.library.get("zzz")
    assert caught.value.hint == "hydra-box models stored has them"


async def test_weights_of_the_hub_are_found(world: World, tiny: Path, other: Path) -> None:
    library = world.library
    q8 = await library.add_download(world.download({"a.gguf": tiny}))
    q4 = await library.add_download(world.download({"b.gguf": other}, "Q4_0"))
    await world.add(tiny)
    gguf = WeightFormat.GGUF
    assert library.find("org/tiny", gguf, "Q8_0") == q8
    assert library.find("org/tiny", gguf, "Q4_0", COMMIT) == q4
    assert library.find("org/tiny", gguf, "Q4_0", OLDER) is None
    assert library.find("org/tiny", gguf, None) is None
    assert library.find("org/tiny", WeightFormat.SAFETENSORS, "Q8_0") is None
    assert library.find("org/other", gguf, "Q8_0") is None


async def test_of_two_revisions_the_newest_that_is_whole_is_found(
    world: World, tiny: Path, other: Path
) -> None:
    library, gguf = world.library, WeightFormat.GGUF
    world.download({"t.gguf": other}, revision=OLDER)
    old = await world.add(world.cache.snapshot("org/tiny", OLDER) / "t.gguf")
    world.now += 1
    world.download({"t.gguf": tiny})
    new = await world.add(world.cache.snapshot("org/tiny", COMMIT) / "t.gguf")
    assert (old.name, new.name) == ("hf:org/tiny:F32", f"hf:org/tiny:F32@{COMMIT}")
    assert library.find("org/tiny", gguf, "F32") == new
    move(Path(new.path), "away")
    await library.look()
    assert library.find("org/tiny", gguf, "F32") == old


async def test_the_catalog_serves_what_the_library_has(world: World, tiny: Path) -> None:
    model = await world.add(tiny, name="mine")
    spec = Catalog({}, shelf=world.library).resolve("mine")
    assert [one.path for one in spec.offers] == [model.path]


async def test_two_services_of_one_model_share_its_files(world: World, tiny: Path) -> None:
    model = await world.add(tiny)
    world.serve(model, "second")
    world.serve(model, "first")
    world.serve(model, "gone", desired_state=DesiredState.DELETED)
    world.serve(replace(model, path="/elsewhere.gguf"), "stranger")
    assert world.library.services_of(model) == ("first", "second")


async def test_touch_notes_when_a_model_was_used(world: World, tiny: Path) -> None:
    model = await world.add(tiny)
    world.now = 2000.0
    await world.library.touch("/elsewhere.gguf")
    await world.library.touch(model.path)
    assert world.library.get("tiny").last_used_at == 2000.0
    assert (await world.restarted()).get("tiny").last_used_at == 2000.0


async def test_files_that_vanished_are_told_of(world: World, tiny: Path) -> None:
    model = await world.add(tiny)
    away = move(tiny, "away")
    problem = f"1 of 1 files are not in {tiny.parent} any more, first tiny.gguf"
    assert (await world.restarted()).get("tiny") == replace(model, problem=problem)
    assert world.library.list()[0].problem == problem
    move(away, tiny.name)
    await world.library.look()
    assert world.library.list() == (model,)


# --- importing ----------------------------------------------------------------------


async def test_import_by_reference_and_by_copy(world: World, tiny: Path) -> None:
    reference = await world.add(tiny)
    copy = await world.add(tiny, copy=True)
    assert (reference.name, reference.path) == ("tiny", str(tiny))
    assert (copy.name, copy.path) == ("tiny-2", str(world.paths.imported / "tiny-2" / "tiny.gguf"))
    assert content(copy.path) == content(tiny)
    assert (await world.restarted()).list() == (reference, copy)


async def test_names_of_imports(world: World, tiny: Path, other: Path) -> None:
    (world.paths.imported / "tiny").mkdir(parents=True)
    assert (await world.add(tiny, copy=True)).name == "tiny-2"
    assert (await world.add(tiny)).name == "tiny"
    assert (await world.add(other, name="a.b_c-1")).name == "a.b_c-1"
    error = await refused(world, other, copy=True, name="tiny")
    assert (error.message, error.param) == ("the name 'tiny' is taken", "name")
    assert error.hint == "'tiny-3' is free"
    for name in ("hf:org/tiny:Q8_0", "a/b", ""):
        with pytest.raises(InvalidRequest, match="is not valid"):
            await world.add(other, copy=True, name=name)


async def test_what_is_in_the_library_is_not_imported_twice(world: World, tiny: Path) -> None:
    blob = ollama_model(world.root / "ollama", "tiny:latest", model=tiny)
    first = await world.add(blob, name="first")
    error = await refused(world, blob, name="second")
    assert error.message == f"the library has {blob} already, as first"
    assert error.hint == "hydra-box deploy first"
    assert (await refused(world, Path(first.path))).param == "path"
    assert (await world.add(blob, name="second", copy=True)).name == "second"


async def test_a_blob_without_a_name_is_named_by_its_header(world: World, tiny: Path) -> None:
    blob = ollama_model(world.root / "ollama", "llama3:latest", model=tiny)
    assert (await world.add(blob)).name == "tiny"


async def test_the_hubs_own_name_may_be_asked_for(world: World, tiny: Path) -> None:
    world.download({"t.gguf": tiny})
    path = world.cache.snapshot("org/tiny", COMMIT) / "t.gguf"
    assert (await world.add(path, name="hf:org/tiny:F32")).name == "hf:org/tiny:F32"


async def test_imports_at_the_same_time_get_different_names(world: World, tiny: Path) -> None:
    made = await asyncio.gather(*(world.add(tiny, copy=True) for _ in range(4)))
    assert sorted(one.name for one in made) == ["tiny", "tiny-2", "tiny-3", "tiny-4"]
    assert all(content(one.path) == content(tiny) for one in made)


async def test_the_same_file_at_the_same_time_is_one_model(world: World, tiny: Path) -> None:
    both = await asyncio.gather(
        world.add(tiny, name="a"), world.add(tiny, name="b"), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in both) == ["Conflict", "StoredModel"]
    assert len(world.library.list()) == 1


async def test_a_copy_leaves_room_for_the_system(world: World, tiny: Path) -> None:
    world.settings = Settings(disk_reserve_bytes=MUCH)
    library = await world.restarted()
    with pytest.raises(DiskFull, match="stay free for the system"):
        await world.add(tiny, copy=True)
    assert library.list() == ()
    assert list(world.paths.imported.iterdir()) == []


async def test_a_killed_copy_is_cleaned_away(world: World, tiny: Path) -> None:
    left = world.paths.imported / ".tiny.part"
    left.mkdir(parents=True)
    shutil.copyfile(tiny, left / "tiny.gguf")
    assert (await world.restarted()).list() == ()
    assert not left.exists()
    assert (await world.add(tiny, copy=True)).name == "tiny"


async def test_a_copy_that_was_killed_at_the_very_end_is_finished(world: World, tiny: Path) -> None:
    model = await world.add(tiny, copy=True)
    directory = world.paths.imported / "tiny"
    directory.rename(world.paths.imported / ".tiny.part")
    assert (await world.restarted()).list() == (model,)
    assert content(model.path) == content(tiny)


async def test_an_import_whose_client_leaves_is_given_up(world: World, tmp_path: Path) -> None:
    large = tmp_path / "large.gguf"
    write_tiny_gguf(large)
    # A hole: gigabytes to copy, and none on the disk.
    os.truncate(large, 64 * 1024**3)
    world.settings = Settings(disk_reserve_bytes=0)
    await world.restarted()
    if shutil.disk_usage(tmp_path).free < large.stat().st_size:
        os.truncate(large, shutil.disk_usage(tmp_path).free // 2)
    copying = asyncio.create_task(world.add(large, copy=True))
    part = world.paths.imported / ".large.part" / "large.gguf"
    await asyncio.to_thread(eventually, lambda: part.is_file() and not part.is_symlink())
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert list(world.paths.imported.iterdir()) == []
    assert world.library.list() == ()
    assert (await world.add(large)).name == "large"


async def test_a_directory_that_cannot_get_its_name_leaves_no_row(
    world: World, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StateError("it cannot have its name")

    monkeypatch.setattr("hydra_box.importer.finish", fail)
    with pytest.raises(StateError):
        await world.add(tiny, copy=True)
    assert world.library.list() == ()
    assert list(world.paths.imported.iterdir()) == []
    assert (await world.restarted()).list() == ()


# --- verifying ------------------------------------------------------------------------


def flip(path: Path, offset: int = 5_000) -> None:
    """Change one bit, and not the size."""
    place = path.resolve()
    content = bytearray(place.read_bytes())
    content[offset] ^= 1
    place.write_bytes(content)


async def test_one_flipped_bit_is_found_and_its_file_named(world: World, tiny: Path) -> None:
    projector = write_projector(tiny.with_name("p.gguf"), 32)
    download = world.download({"t.gguf": tiny, "mmproj.gguf": projector})
    model = await world.library.add_download(download)
    world.now = 2000.0
    assert (await world.library.verify(model.name)).verified_at == 2000.0
    flip(world.cache.snapshot("org/tiny", COMMIT) / "mmproj.gguf", 100)
    world.now = 3000.0
    found = await world.library.verify(model.name)
    assert found.problem is not None
    assert found.problem.startswith("the SHA-256 of mmproj.gguf is ")
    assert found.problem.endswith(f"... instead of {sha256(projector)[:12]}...")
    assert found.verified_at == 2000.0
    assert (await world.restarted()).get(model.name) == found


async def test_small_files_are_compared_with_gits_checksum(world: World) -> None:
    files = files_in(DEMO_DIRECTORY)
    model = await world.library.add_download(world.download(files, None))
    flip(Path(model.path) / "config.json", 10)
    found = await world.library.verify(model.id)
    assert (found.problem or "").startswith("the git SHA-1 of config.json is ")


async def test_checksums_that_nobody_told_are_found_and_compared_the_next_time(
    world: World, tiny: Path
) -> None:
    model = await world.add(tiny)
    assert model.files[0].digest is None
    first = await world.library.verify("tiny")
    assert (first.files[0].digest, first.problem) == (sha256(tiny), None)
    assert first.verified_at == 1000.0
    flip(tiny)
    second = await world.library.verify("tiny")
    assert "the SHA-256 of tiny.gguf is" in (second.problem or "")
    assert second.files == first.files
    flip(tiny)
    assert (await world.library.verify("tiny")).problem is None


async def test_every_file_that_is_not_right_is_named(world: World, tmp_path: Path) -> None:
    directory = shutil.copytree(DEMO_DIRECTORY, tmp_path / "demo")
    await world.add(directory)
    (directory / "tokenizer.json").unlink()
    with (directory / "config.json").open("a") as file:
        file.write(" ")
    problem = (await world.library.verify("demo")).problem or ""
    size = (directory / "config.json").stat().st_size
    assert f"config.json has {size:,} bytes instead of {size - 1:,}" in problem
    assert "tokenizer.json cannot be read: No such file or directory" in problem


async def test_verifying_ends_when_its_client_leaves(
    world: World, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()
    ended: list[bool] = []

    def read_for_ever(path: Path, stop: Any) -> None:
        loop.call_soon_threadsafe(entered.set)
        try:
            while True:
                go_on(stop)
        except Stopped:
            ended.append(True)
            raise

    monkeypatch.setattr("hydra_box.library.check_files", read_for_ever)
    await world.add(tiny)
    verifying = asyncio.create_task(world.library.verify("tiny"))
    await entered.wait()
    verifying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await verifying
    assert ended == [True]


async def test_what_is_removed_while_it_is_verified(
    world: World, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = asyncio.Event()
    loop = asyncio.get_running_loop()
    model = await world.add(tiny)

    def check(model: StoredModel, _: object) -> tuple[tuple[ModelFile, ...], None]:
        asyncio.run_coroutine_threadsafe(world.library.remove("tiny"), loop).result()
        loop.call_soon_threadsafe(removed.set)
        return model.files, None

    monkeypatch.setattr("hydra_box.library.check_files", check)
    with pytest.raises(Conflict, match="tiny was replaced or removed while it was verified"):
        await world.library.verify(model.id)
    assert removed.is_set()
    assert world.library.list() == ()


# --- removing -------------------------------------------------------------------------


async def test_what_a_service_uses_is_not_removed(world: World, tiny: Path) -> None:
    model = await world.add(tiny, copy=True)
    world.serve(model, "one")
    world.serve(model, "two")
    with pytest.raises(Conflict) as caught:
        await world.library.remove("tiny")
    assert caught.value.message == "tiny is used by one, two"
    assert caught.value.hint == "delete the service first: hydra-box delete one --confirm one"
    assert is_there(model.path)
    world.services.clear()
    assert await world.library.remove("tiny") == size(tiny)


async def test_removing_a_quantisation_keeps_what_another_shares(
    world: World, tiny: Path, other: Path, tmp_path: Path
) -> None:
    projector = write_projector(tmp_path / "projector.gguf", 32)
    q8 = {"q8.gguf": tiny, "mmproj.gguf": projector}
    q4 = {"q4.gguf": other, "mmproj.gguf": projector}
    await world.library.add_download(world.download(q8))
    kept = await world.library.add_download(world.download(q4, "Q4_0"))
    assert await world.library.remove("hf:org/tiny:Q8_0") == size(tiny)
    assert world.blobs() == {sha256(other), sha256(projector)}
    assert (await world.library.verify(kept.name)).problem is None
    freed = size(other) + size(projector)
    assert await world.library.remove(kept.name) == freed
    assert world.blobs() == set()
    assert (await world.restarted()).list() == ()


async def test_removing_a_reference_forgets_it(world: World, tiny: Path) -> None:
    blob = ollama_model(world.root / "ollama", "tiny:latest", model=tiny)
    linked = await world.add(blob, name="linked")
    await world.add(tiny)
    assert await world.library.remove("linked") == 0
    assert await world.library.remove("tiny") == 0
    assert blob.exists()
    assert is_there(tiny)
    assert not is_there(linked.path)
    assert world.library.list() == ()


async def test_a_model_of_another_cache_is_only_forgotten(world: World, tiny: Path) -> None:
    snapshot = hub_snapshot(world.root / "theirs", "org/tiny", {"t.gguf": tiny})
    model = await world.add(snapshot / "t.gguf")
    assert (model.name, model.stored_as) == ("hf:org/tiny:F32", StoredAs.REFERENCE)
    assert await world.library.remove(model.name) == 0
    assert (snapshot / "t.gguf").exists()


async def test_removing_never_deletes_what_is_not_a_link(world: World, tiny: Path) -> None:
    # Its owner has put a model where the library keeps its own.
    path = world.paths.imported / "tiny" / "tiny.gguf"
    path.parent.mkdir(parents=True)
    shutil.copyfile(tiny, path)
    await world.add(path, name="tiny")
    assert await world.library.remove("tiny") == 0
    assert path.exists()


@pytest.mark.parametrize("copy", [True, False])
async def test_files_that_are_gone_already_are_no_error(
    world: World, tiny: Path, copy: bool
) -> None:
    blob = ollama_model(world.root / "ollama", "tiny:latest", model=tiny)
    await world.add(blob, copy=copy)
    shutil.rmtree(world.paths.imported)
    assert await world.library.remove("tiny") == 0
    assert world.library.list() == ()


async def test_a_cache_that_is_gone_is_no_error(world: World, tiny: Path) -> None:
    model = await world.library.add_download(world.download({"t.gguf": tiny}))
    shutil.rmtree(world.cache.root)
    assert await world.library.remove(model.name) == 0


async def test_files_that_cannot_be_deleted_stay_in_the_library(world: World, tiny: Path) -> None:
    await world.add(tiny, copy=True)
    directory = world.paths.imported / "tiny"
    # A link in its place: what it leads to is not the library's.
    elsewhere = directory.rename(world.root / "elsewhere")
    directory.symlink_to(elsewhere)
    with pytest.raises(StateError) as caught:
        await world.library.remove("tiny")
    assert caught.value.message.startswith(f"{directory} cannot be deleted: ")
    assert (elsewhere / "tiny.gguf").exists()
    assert [one.name for one in world.library.list()] == ["tiny"]


async def test_a_name_that_is_free_again(world: World, tiny: Path) -> None:
    await world.add(tiny, copy=True)
    await world.library.remove("tiny")
    assert (await world.add(tiny, copy=True)).name == "tiny"


# --- other programs' models ---------------------------------------------------------------


async def test_scan_marks_what_is_in_the_library(
    world: World, tiny: Path, other: Path, tmp_path: Path
) -> None:
    user = tmp_path / "user"
    blob = ollama_model(user / ".ollama" / "models", "tiny:latest", model=tiny)
    studio = user / ".lmstudio" / "models" / "p" / "r" / "other.gguf"
    studio.parent.mkdir(parents=True)
    shutil.copyfile(other, studio)
    world.download({"demo.gguf": DEMO_MODEL})
    in_library = {one.path: one.in_library for one in await world.library.scan()}
    snapshot = world.cache.snapshot("org/tiny", COMMIT) / "demo.gguf"
    assert in_library == {str(blob): False, str(studio): False, str(snapshot): False}
    await world.add(blob)
    await world.add(snapshot)
    marked = {one.path for one in await world.library.scan() if one.in_library}
    assert marked == {str(blob), str(snapshot)}


async def test_scan_finds_the_users_cache_beside_the_boxs_own(
    world: World, tiny: Path, tmp_path: Path
) -> None:
    world.download({"t.gguf": tiny})
    world.cache = HubCache(tmp_path / "large disk")
    await world.restarted()
    (found,) = await world.library.scan()
    model = await world.add(Path(found.path))
    assert (model.name, model.stored_as) == (found.name, StoredAs.REFERENCE)


async def test_every_model_that_is_found_can_be_imported_as_it_is_called(
    world: World, tiny: Path, tmp_path: Path
) -> None:
    user = tmp_path / "user"
    projector = write_projector(tmp_path / "vision.gguf", 32)
    ollama_model(user / ".ollama" / "models", "Llava:7B", model=tiny, projector=projector)
    world.download({"demo.gguf": DEMO_MODEL})
    found = await world.library.scan()
    for one in found:
        model = await world.add(Path(one.path), name=one.name, projector=one.projector)
        assert (model.name, model.size_bytes) == (one.name, one.size_bytes)
    assert len(found) == 2
    assert all(one.in_library for one in await world.library.scan())
