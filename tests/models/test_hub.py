"""Reading a hub by its protocol: offers before any download, and every way that it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType
from huggingface_hub import constants

from hydra_box.errors import (
    Forbidden,
    HydraError,
    InvalidModel,
    InvalidRequest,
    NotFound,
    RepositoryNotFound,
    Unavailable,
)
from hydra_box.models.facts import read_facts
from hydra_box.models.hub import Hub
from hydra_box.types import FactsSource, Modality, Offer, WeightFormat
from tests.fakes.hub import FakeHub
from tests.models.headers import write_values
from tests.models.tiny_gguf import write_tiny_gguf
from tests.models.tiny_safetensors import write_json, write_model

REPOSITORY = "someone/model"
LLAMA = {
    "block_count": 2,
    "embedding_length": 32,
    "feed_forward_length": 64,
    "attention.head_count": 2,
}
TENSORS = {
    "token_embd.weight": (29, 32),
    "output_norm.weight": (32,),
    "blk.0.ffn_up.weight": (64, 32),
    "blk.1.ffn_up.weight": (64, 32),
}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub(tmp_path / "hub") as fake:
        yield fake


def offers(hub: FakeHub, *, token: str | None = None, **options: str) -> tuple[Offer, ...]:
    return Hub(hub.environ(token=token)).offers(REPOSITORY, **options)


def write_quantization(
    directory: Path, label: str, kind: GGMLQuantizationType = GGMLQuantizationType.F32
) -> Path:
    file_type = {"general.file_type": {"F32": 0, "Q8_0": 7}.get(label, 15)}
    path = directory / f"Model-{label}.gguf"
    return write_values(path, "llama", LLAMA, tensors=TENSORS, kind=kind, general=file_type)


def test_default_address_is_that_of_the_hubs_own_package() -> None:
    assert Hub({}).endpoint == constants.ENDPOINT
    assert Hub({"HF_ENDPOINT": "http://mirror.example/"}).endpoint == "http://mirror.example"


def test_gguf_as_it_is_read_from_the_file(hub: FakeHub) -> None:
    path = write_tiny_gguf(hub.repository(REPOSITORY) / "Tiny-F32.gguf")
    (offer,) = offers(hub)
    local = read_facts(path)
    assert offer.facts.source is FactsSource.HUB
    assert offer.facts.layers == local.layers
    assert offer.facts.layer_weight_bytes == local.layer_weight_bytes
    assert offer.facts.files == local.files
    assert (offer.path, offer.repository) == (None, REPOSITORY)
    assert offer.revision == hub.commit(REPOSITORY)


def test_every_quantization_is_an_offer(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    for label in ("F32", "Q4_K_M", "UD-Q4_K_XL"):
        write_quantization(directory, label)
    (directory / "imatrix.gguf").write_bytes(b"GGUF")
    found = {str(one.facts.quantization): one.facts for one in offers(hub)}
    assert set(found) == {"F32", "Q4_K_M", "UD-Q4_K_XL"}
    for label, facts in found.items():
        local = read_facts(directory / f"Model-{label}.gguf")
        assert facts.layer_weight_bytes == local.layer_weight_bytes
        assert facts.input_weight_bytes == local.input_weight_bytes
        assert facts.size_bytes == local.size_bytes
        assert facts.vocabulary_size == 29


def test_vocabulary_is_read_once(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    long = {f"tokenizer.{number}": "x" * 900_000 for number in range(3)}
    for label in ("Q4_K_M", "Q5_K_M", "Q6_K"):
        path = directory / f"Model-{label}.gguf"
        write_values(path, "llama", LLAMA, tensors=TENSORS, general=long)
    found = offers(hub)
    assert {one.facts.quantization for one in found} == {"Q4_K_M", "Q5_K_M", "Q6_K"}
    header = 2_700_000
    assert header < sum(hub.pieces) < 2 * header


def test_file_that_is_laid_out_otherwise_is_read_as_a_whole(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    write_quantization(directory, "Q4_K_M")
    other = {**LLAMA, "block_count": 1}
    tensors = {"token_embd.weight": (29, 32), "blk.0.ffn_down.weight": (32, 640)}
    path = write_values(directory / "Other-Q8_0.gguf", "llama", other, tensors=tensors)
    found = {one.facts.files[0].name: one.facts for one in offers(hub)}
    assert found["Other-Q8_0.gguf"].context_length == 4096
    assert found["Other-Q8_0.gguf"].layer_weight_bytes == read_facts(path).layer_weight_bytes


def test_file_of_another_model_with_the_same_tensors(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    write_quantization(directory, "Q4_K_M")
    longer = {**LLAMA, "context_length": 8192}
    write_values(directory / "Longer-Q8_0.gguf", "llama", longer, tensors=TENSORS)
    found = {one.facts.files[0].name: one.facts.context_length for one in offers(hub)}
    assert found == {"Model-Q4_K_M.gguf": 4096, "Longer-Q8_0.gguf": 8192}


def test_file_or_quantization_that_is_asked_for(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY) / "sub"
    directory.mkdir()
    write_quantization(directory, "Q4_K_M")
    write_quantization(directory, "Q8_0")
    for wanted in ("sub/Model-Q8_0.gguf", "Model-Q8_0.gguf", "q8_0"):
        (offer,) = offers(hub, file=wanted)
        assert offer.facts.files[0].name == "sub/Model-Q8_0.gguf"
    with pytest.raises(NotFound, match="no GGUF model 'Q6_K'") as caught:
        offers(hub, file="Q6_K")
    assert caught.value.hint == "it has sub/Model-Q4_K_M.gguf, sub/Model-Q8_0.gguf"


def test_model_in_several_files(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    names = [f"Big-Q4_K_M-{number:05}-of-00002.gguf" for number in (1, 2)]
    split = {"split.count": 2}
    write_values(directory / names[0], "llama", LLAMA, general=split)
    write_values(directory / names[1], "llama", {}, tensors=TENSORS, general=split)
    (directory / "Torn-Q8_0-00001-of-00002.gguf").write_bytes(b"GGUF")
    (offer,) = offers(hub)
    assert [one.name for one in offer.facts.files] == names
    assert offer.facts.layer_weight_bytes == (4 * 64 * 32,) * 2
    assert offer.facts == offers(hub, file=names[1])[0].facts


@pytest.mark.parametrize(("width", "modality"), [(32, Modality.VISION), (64, Modality.TEXT)])
def test_projector(hub: FakeHub, width: int, modality: Modality) -> None:
    directory = hub.repository(REPOSITORY)
    write_quantization(directory, "Q8_0")
    values = {"vision.projection_dim": width}
    for kind in ("BF16", "F16"):
        path = directory / f"mmproj-{kind}.gguf"
        write_values(path, "clip", values, tensors={"v.w": (8, 8)})
    (offer,) = offers(hub)
    assert offer.facts.modality is modality
    with_projector = modality is Modality.VISION
    assert offer.facts.projector_bytes == (path.stat().st_size if with_projector else 0)
    assert (offer.facts.files[-1].name == "mmproj-F16.gguf") == with_projector


def test_broken_file_is_left_out_while_there_is_another(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    (directory / "Model-Q2_K.gguf").write_bytes(b"<html>not a model</html>")
    with pytest.raises(InvalidModel, match="of someone/model is not a usable GGUF"):
        offers(hub)
    write_quantization(directory, "Q8_0")
    (offer,) = offers(hub)
    assert offer.facts.quantization == "Q8_0"


def test_safetensors_as_they_are_read_from_the_files(hub: FakeHub) -> None:
    directory = write_model(hub.repository(REPOSITORY), shards=3)
    write_json(directory / "modules.json", [])
    (offer,) = offers(hub)
    local = read_facts(directory)
    assert offer.facts.format is WeightFormat.SAFETENSORS
    assert offer.facts.modality is Modality.EMBEDDING
    assert offer.facts.layer_weight_bytes == local.layer_weight_bytes
    assert offer.facts.files == local.files
    assert offer.facts.has_chat_template


def test_both_formats_of_a_repository(hub: FakeHub) -> None:
    directory = write_model(hub.repository(REPOSITORY))
    write_quantization(directory, "Q8_0")
    assert [one.facts.format for one in offers(hub)] == [
        WeightFormat.SAFETENSORS,
        WeightFormat.GGUF,
    ]


def test_pipeline_that_makes_images(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    write_model(directory / "transformer", tensors={"w": (8, 8)})
    write_json(directory / "model_index.json", {"_class_name": "FluxPipeline"})
    (offer,) = offers(hub)
    assert (offer.facts.modality, offer.facts.architecture) == (Modality.IMAGE, "FluxPipeline")


def test_revision_is_pinned_to_the_commit(hub: FakeHub) -> None:
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    commit = hub.commit(REPOSITORY)
    assert offers(hub)[0].revision == commit
    assert offers(hub, revision=commit)[0].revision == commit
    files = [one for one in hub.requests if "/resolve/" in one.path]
    assert files
    assert all(f"/resolve/{commit}/" in one.path for one in files)


def test_headers_are_read_once_for_a_commit(hub: FakeHub) -> None:
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    reader = Hub(hub.environ())
    first = reader.offers(REPOSITORY)
    before = len(hub.requests)
    assert reader.offers(REPOSITORY) == first
    assert len(hub.requests) == before + 1
    write_quantization(hub.repository(REPOSITORY), "Q4_K_M")
    assert len(reader.offers(REPOSITORY)) == 2


def test_everything_is_asked_by_range(hub: FakeHub) -> None:
    write_model(hub.repository(REPOSITORY))
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    offers(hub)
    assert all(one.range for one in hub.requests if one.origin == "cdn" or "resolve" in one.path)


def test_token_goes_to_the_hub_and_nowhere_else(hub: FakeHub) -> None:
    hub.private.add(REPOSITORY)
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    assert offers(hub, token=hub.token)
    asked = {one.origin: set[str | None]() for one in hub.requests}
    for request in hub.requests:
        asked[request.origin].add(request.token)
    assert asked == {"hub": {hub.token}, "cdn": {None}}


def test_token_from_the_file_of_a_login(hub: FakeHub, tmp_path: Path) -> None:
    hub.private.add(REPOSITORY)
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    (tmp_path / "token").write_text(f"{hub.token}\n")
    environ = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path)}
    assert Hub(environ).offers(REPOSITORY)


def error_of(hub: FakeHub, *, token: str | None = None, **options: str) -> HydraError:
    with pytest.raises(HydraError) as caught:
        offers(hub, token=token, **options)
    assert caught.value.hint
    assert hub.token not in str(caught.value)
    return caught.value


def test_missing_repository(hub: FakeHub) -> None:
    for token in (None, hub.token):
        error = error_of(hub, token=token)
        assert type(error) is RepositoryNotFound
        assert "has no repository someone/model, or it is private" in error.message


def test_private_repository_looks_like_a_missing_one(hub: FakeHub) -> None:
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    hub.private.add(REPOSITORY)
    error = error_of(hub)
    assert type(error) is RepositoryNotFound
    assert error.hint == (
        "check the name; for a private one give the daemon a token in HF_TOKEN that may read it"
    )


@pytest.mark.parametrize("known", [True, False])
def test_gated_repository(hub: FakeHub, known: bool) -> None:
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    hub.gated.add(REPOSITORY)
    error = error_of(hub, token=hub.token if known else None)
    assert type(error) is Forbidden
    assert "someone/model is gated" in error.message
    assert f"{hub.url}/someone/model" in (error.hint or "")


def test_token_that_is_not_valid(hub: FakeHub) -> None:
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    error = error_of(hub, token="hf_wrong")
    assert type(error) is Forbidden
    assert "refuses access to someone/model (HTTP 401)" in error.message
    assert "hf_wrong" not in str(error)


def test_missing_revision(hub: FakeHub) -> None:
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    error = error_of(hub, revision="v2")
    assert type(error) is NotFound
    assert "has no such revision" in error.message


def test_name_that_no_repository_has(hub: FakeHub) -> None:
    for name in ("a/b/c", "../etc", "a b", ""):
        with pytest.raises(InvalidRequest, match="is not the name of a repository"):
            Hub(hub.environ()).offers(name)
    assert hub.requests == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_hub_that_is_busy(hub: FakeHub, status: int) -> None:
    hub.status = status
    error = error_of(hub)
    assert type(error) is Unavailable
    assert f"answered HTTP {status}" in error.message
    assert error.retry_after_seconds == 7


def test_hub_that_ignores_ranges(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    write_values(
        directory / "Model-Q8_0.gguf",
        "llama",
        LLAMA,
        tensors=TENSORS,
        general={f"tokenizer.{number}": "x" * 900_000 for number in range(3)},
    )
    hub.ignores_ranges = True
    error = error_of(hub)
    assert type(error) is Unavailable
    assert "unusable answer for a part of a file" in error.message


def test_hub_that_is_not_there() -> None:
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        Hub({"HF_ENDPOINT": "http://127.0.0.1:9"}).offers(REPOSITORY)
    assert "HF_ENDPOINT" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_hub_that_is_switched_off(hub: FakeHub, name: str) -> None:
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    with pytest.raises(Unavailable, match="switched off"):
        Hub({**hub.environ(), name: "1"}).offers(REPOSITORY)
    assert hub.requests == []


def test_repository_of_pickles(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    write_json(directory / "config.json", {"model_type": "llama"})
    (directory / "pytorch_model.bin").write_bytes(b"\x80\x04")
    error = error_of(hub)
    assert type(error) is InvalidModel
    assert "someone/model on the hub has its weights as pickle files only" in error.message


def test_repository_without_a_model(hub: FakeHub) -> None:
    (hub.repository(REPOSITORY) / "README.md").write_text("hello")
    assert type(error_of(hub)) is InvalidModel


def test_shard_that_the_index_names_and_nobody_has(hub: FakeHub) -> None:
    directory = write_model(hub.repository(REPOSITORY), shards=2)
    (directory / "model-00002-of-00002.safetensors").unlink()
    assert "lacks model-00002-of-00002.safetensors" in error_of(hub).message


def test_large_files_of_a_repository_are_not_fetched(hub: FakeHub, tmp_path: Path) -> None:
    directory = hub.repository(REPOSITORY)
    shapes = {"model.embed_tokens.weight": (4000, 1000)}
    write_model(tmp_path / "large", tensors=shapes)
    shutil.copytree(tmp_path / "large", directory, dirs_exist_ok=True)
    offers(hub)
    assert sum(hub.pieces) < 200_000
