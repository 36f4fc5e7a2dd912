"""Other programs' folders: what is whole is found, and nothing that is in them does harm."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.models import stores
from hydra_box.models.stores.candidate import Walk
from hydra_box.models.stores.hub_folder import hub_place
from hydra_box.models.stores.ollama import ollama_models
from hydra_box.types import FoundModel, WeightFormat
from tests.models.headers import write_projector
from tests.models.other_stores import (
    COMMIT,
    files_in,
    hub_snapshot,
    layer,
    ollama_blob,
    ollama_manifest,
    ollama_model,
)
from tests.models.tiny_gguf import write_tiny_gguf
from tests.models.tiny_safetensors import write_model

DEMO_DIRECTORY = DEMO_MODEL.parent / "hydra-box-demo-hf"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "tiny.gguf")


@pytest.fixture
def user(tmp_path: Path) -> Path:
    path = tmp_path / "user"
    path.mkdir()
    return path


@pytest.fixture
def ollama(user: Path) -> Path:
    return user / ".ollama" / "models"


@pytest.fixture
def lm_studio(user: Path) -> Path:
    return user / ".lmstudio" / "models"


@pytest.fixture
def cache(user: Path) -> Path:
    return user / ".cache" / "huggingface" / "hub"


def scan(user: Path, **environ: str) -> tuple[FoundModel, ...]:
    """What is found of a user on a machine that has nothing else."""
    caches = (user / ".cache" / "huggingface" / "hub",)
    return stores.scan({"HOME": str(user), **environ}, caches, system=user / "system")


def names(user: Path, **environ: str) -> list[str]:
    return [one.name for one in scan(user, **environ)]


def put(file: Path, *places: Path) -> Path:
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    return places[0]


def test_nothing_is_found_where_nothing_is(user: Path) -> None:
    assert scan(user) == ()
    assert stores.scan({}, (), system=user) == ()


# --- Ollama -----------------------------------------------------------------


def test_ollama_model(user: Path, ollama: Path) -> None:
    blob = ollama_model(ollama, "Demo:1b-q8", model=DEMO_MODEL)
    (found,) = scan(user)
    assert found == FoundModel(
        name="demo-1b-q8",
        source="Ollama",
        path=str(blob),
        format=WeightFormat.GGUF,
        quantization=found.quantization,
        size_bytes=DEMO_MODEL.stat().st_size,
    )
    assert found.quantization is not None


def test_ollama_model_with_a_projector(user: Path, ollama: Path, tiny: Path) -> None:
    projector = write_projector(tiny.with_name("projector.gguf"), 32)
    blob = ollama_model(ollama, "llava:latest", model=tiny, projector=projector)
    (found,) = scan(user)
    assert found.path == str(blob)
    assert found.projector == str(ollama_blob(ollama, projector))
    assert found.size_bytes == tiny.stat().st_size + projector.stat().st_size


def test_ollama_model_with_an_adapter_is_not_whole_without_it(
    user: Path, ollama: Path, tiny: Path
) -> None:
    ollama_model(ollama, "adapted:latest", model=tiny, adapter=tiny)
    assert scan(user) == ()


def test_two_tags_of_the_same_weights_are_one_model(user: Path, ollama: Path, tiny: Path) -> None:
    ollama_model(ollama, "tiny:latest", model=tiny)
    ollama_model(ollama, "tiny:1b", model=tiny)
    assert names(user) == ["tiny-1b"]


@pytest.mark.parametrize(
    "folder", ["usr/share/ollama/.ollama/models", "var/lib/ollama/models", "var/lib/ollama"]
)
def test_ollama_of_the_system(user: Path, tiny: Path, folder: str) -> None:
    ollama_model(user / "system" / folder, "tiny:latest", model=tiny)
    assert names(user) == ["tiny-latest"]


def test_ollama_where_the_environment_says(user: Path, tiny: Path, tmp_path: Path) -> None:
    ollama_model(tmp_path / "elsewhere", "tiny:latest", model=tiny)
    assert names(user) == []
    assert names(user, OLLAMA_MODELS=str(tmp_path / "elsewhere")) == ["tiny-latest"]


def test_a_folder_with_two_names_is_looked_at_once(
    user: Path, ollama: Path, tiny: Path, tmp_path: Path
) -> None:
    blob = ollama_model(ollama, "tiny:latest", model=tiny)
    (tmp_path / "link").symlink_to(ollama)
    (found,) = scan(user, OLLAMA_MODELS=str(tmp_path / "link"))
    assert found.path == str(tmp_path / "link" / "blobs" / blob.name)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"{}",
        b'{"layers": 1}',
        b'{"layers": [{"digest": 1}]}',
        b'{"layers": null}',
        b"[" * 100_000,
        b'{"more": ' + b"[" * 100_000,
        b'{"layers": []}' + b" " * 300_000,
    ],
)
def test_broken_manifests_are_left_out(
    user: Path, ollama: Path, tiny: Path, content: bytes
) -> None:
    ollama_model(ollama, "good:latest", model=tiny)
    ollama_manifest(ollama, "bad:latest", []).write_bytes(content)
    assert names(user) == ["good-latest"]


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", "sha256:../../secret.gguf", "/etc/passwd", "sha256:" + "A" * 64, "md5:00"],
)
def test_what_is_no_digest_does_not_become_a_path(
    user: Path, ollama: Path, tiny: Path, digest: str
) -> None:
    shutil.copyfile(tiny, user / "secret.gguf")
    (ollama / "blobs").mkdir(parents=True)
    named = layer("model", tiny) | {"digest": digest}
    ollama_manifest(ollama, "bad:latest", [named])
    assert scan(user) == ()


def test_manifests_that_are_no_files(user: Path, ollama: Path, tiny: Path) -> None:
    ollama_model(ollama, "good:latest", model=tiny)
    folder = ollama / "manifests" / "registry.example" / "library" / "good"
    os.mkfifo(folder / "pipe")
    (folder / "directory").mkdir()
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "nowhere").symlink_to("nothing")
    assert names(user) == ["good-latest"]


def test_missing_and_strange_blobs_are_left_out(user: Path, ollama: Path, tiny: Path) -> None:
    ollama_model(ollama, "gone:latest", model=tiny).unlink()
    assert scan(user) == ()
    blob = ollama_model(ollama, "pipe:latest", model=tiny)
    blob.unlink()
    os.mkfifo(blob)
    assert scan(user) == ()
    blob.unlink()
    blob.write_bytes(tiny.read_bytes()[:-1])
    assert scan(user) == ()


def test_folders_that_lead_to_themselves_end(user: Path, ollama: Path, tiny: Path) -> None:
    ollama_model(ollama, "good:latest", model=tiny)
    for place in (ollama / "manifests", ollama / "manifests" / "registry.example"):
        (place / "again").symlink_to(ollama / "manifests")
    assert names(user) == ["good-latest"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every directory")
def test_folders_that_may_not_be_read(user: Path, ollama: Path, tiny: Path) -> None:
    ollama_model(ollama, "good:latest", model=tiny)
    (ollama / "manifests").chmod(0)
    assert scan(user) == ()


def test_a_walk_looks_at_a_bounded_number_of_entries(ollama: Path, tiny: Path) -> None:
    for number in range(50):
        ollama_model(ollama, f"tiny:{number:02}", model=tiny)
    # The registry, the namespace and the model are entries, too.
    assert len(list(ollama_models(ollama, Walk(most_entries=13)))) == 10
    assert len(list(ollama_models(ollama, Walk()))) == 50


# --- LM Studio ----------------------------------------------------------------


def test_lm_studio_model_with_its_projector_beside(user: Path, lm_studio: Path, tiny: Path) -> None:
    folder = lm_studio / "publisher" / "Tiny-GGUF"
    model = put(tiny, folder / "Tiny-Q8_0.gguf")
    projector = write_projector(folder / "mmproj-Tiny-F16.gguf", 32)
    (found,) = scan(user)
    assert (found.name, found.source, found.path) == ("tiny-q8_0", "LM Studio", str(model))
    assert found.projector is None
    assert found.size_bytes == model.stat().st_size + projector.stat().st_size


def test_lm_studio_models_in_all_its_places(user: Path, tiny: Path, tmp_path: Path) -> None:
    put(tiny, user / ".lmstudio" / "models" / "p" / "r" / "one.gguf")
    put(tiny, user / ".cache" / "lm-studio" / "models" / "p" / "r" / "two.gguf")
    put(tiny, tmp_path / "large disk" / "p" / "r" / "three.gguf")
    settings = user / ".lmstudio" / "settings.json"
    settings.write_text(json.dumps({"downloadsFolder": str(tmp_path / "large disk")}))
    assert names(user) == ["one", "three", "two"]


@pytest.mark.parametrize(
    "settings",
    ["", "[]", '{"downloadsFolder": 1}', '{"downloadsFolder": "\\u0000/"}',
     '{"downloadsFolder": "/a\\u0000"}', '{"downloadsFolder": "relative"}'],
)  # fmt: skip
def test_lm_studio_settings_that_tell_nothing(
    user: Path, lm_studio: Path, tiny: Path, settings: str
) -> None:
    put(tiny, lm_studio / "p" / "r" / "one.gguf")
    (user / ".lmstudio" / "settings.json").write_text(settings)
    assert names(user) == ["one"]


def test_half_models_of_lm_studio_are_left_out(user: Path, lm_studio: Path, tiny: Path) -> None:
    folder = lm_studio / "p" / "r"
    put(tiny, folder / "half-00001-of-00002.gguf", folder / "a.gguf.part", folder / "imatrix.gguf")
    (folder / "broken.gguf").write_bytes(b"GGUF")
    (folder / "directory.gguf").mkdir()
    assert scan(user) == ()


# --- the hub's cache ------------------------------------------------------------


def test_models_of_the_hub(user: Path, cache: Path) -> None:
    gguf = hub_snapshot(cache, "org/tiny-GGUF", {"sub/tiny-Q8_0.gguf": DEMO_MODEL})
    directory = hub_snapshot(cache, "org/tiny", files_in(DEMO_DIRECTORY))
    first, second = scan(user)
    assert second.source == first.source == "Hugging Face cache"
    assert (first.name, first.path) == ("hf:org/tiny", str(directory))
    assert first.format is WeightFormat.SAFETENSORS
    assert second.name == f"hf:org/tiny-GGUF:{second.quantization}"
    assert second.path == str(gguf / "sub" / "tiny-Q8_0.gguf")


def test_every_revision_and_every_quantisation_is_found(
    user: Path, cache: Path, tiny: Path
) -> None:
    files = {"a.gguf": tiny, "b.gguf": DEMO_MODEL}
    old = hub_snapshot(cache, "org/tiny", files, revision="a" * 40)
    new = hub_snapshot(cache, "org/tiny", files)
    found = {one.path for one in scan(user)}
    assert found == {str(place / name) for place in (old, new) for name in files}


def test_what_is_no_model_of_the_hub_is_left_out(
    user: Path, cache: Path, tiny: Path, tmp_path: Path
) -> None:
    shards = write_model(tmp_path / "shards", shards=3)
    (shards / "model-00002-of-00003.safetensors").unlink()
    hub_snapshot(cache, "org/half", files_in(shards))
    split = hub_snapshot(cache, "org/split", {"m-00001-of-00002.gguf": tiny})
    (split / "m-00002-of-00002.gguf").symlink_to("../../blobs/nothing")
    weights = hub_snapshot(cache, "org/pickles", {"config.json": shards / "config.json"})
    (weights / "pytorch_model.bin").write_bytes(b"pickle")
    hub_snapshot(cache, "org/data", {"m.gguf": tiny})
    (cache / "models--org--data").rename(cache / "datasets--org--data")
    hub_snapshot(cache, "org/tiny", {"m.gguf": tiny}, revision="main")
    put(tiny, cache / "models--" / "snapshots" / COMMIT / "m.gguf")
    put(tiny, cache / "version.txt")
    assert scan(user) == ()


def test_links_inside_a_snapshot_that_go_round_end(user: Path, cache: Path, tiny: Path) -> None:
    snapshot = hub_snapshot(cache, "org/tiny", {"m.gguf": tiny})
    (snapshot / "again").symlink_to(snapshot)
    (snapshot / "loop.gguf").symlink_to(snapshot / "loop.gguf")
    assert [one.path for one in scan(user)] == [str(snapshot / "m.gguf")]


def test_place_in_a_cache_of_the_hub() -> None:
    snapshot = Path("/c/models--org--a--b/snapshots") / COMMIT
    for path in (snapshot, snapshot / "sub" / "m.gguf"):
        place = hub_place(path)
        assert place is not None
        assert (place.cache, place.repository) == (Path("/c"), "org/a--b")
        assert (place.revision, place.snapshot) == (COMMIT, snapshot)
    for other in (
        "/",
        "/a.gguf",
        "/c/models--a--b/snapshots/main/m.gguf",
        "/c/models--a--b/blobs/x",
    ):
        assert hub_place(Path(other)) is None
