"""The catalog: entries, what a MODEL may be, and what is said when it is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.catalog import DEMO_MODEL, Catalog
from hydra_box.config import Paths
from hydra_box.errors import ConfigError, InvalidModel, InvalidRequest, NotFound, Unavailable
from hydra_box.types import FactsSource, Hosting, Modality, WeightFormat
from tests.models.tiny_gguf import write_tiny_gguf
from tests.models.tiny_safetensors import write_model

TINY_SHAPE = """
[models.shaped]
name = "Shaped"
publisher = "Someone"
license = "MIT"
gated = true
description = "A shape and no file."
tags = ["chat"]
hosting = ["maas-by-token", "model-service"]
parameters = 494_000_000
active_parameters = 300_000_000
context_length = 32_768
minimum = { vllm = "0.8.5", "llama.cpp" = "0.3.9" }
price = { input = 0.5, output = 1 }
safetensors = [
  { repo = "someone/shaped" },
  { repo = "someone/shaped-AWQ", revision = "abc", quantization = "AWQ", size_bytes = 500_000_000 },
]
gguf = [{ repo = "someone/shaped-GGUF", quantizations = ["Q4_K_M", "Q8_0"] }]

[models.shaped.shape]
architecture = "Qwen2ForCausalLM"
gguf_architecture = "qwen2"
layers = 24
embedding_length = 896
heads = 14
kv_heads = 2
head_length = 64
feed_forward_length = 4864
vocabulary_size = 151_936
tied_embeddings = true
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(home=tmp_path, run=tmp_path / "run")


def owners(paths: Paths, text: str) -> Catalog:
    (paths.home / "models.toml").write_text(text)
    return Catalog.load(paths)


def test_demo_is_packaged_and_whole(paths: Paths) -> None:
    demo = Catalog.load(paths).resolve("demo")
    assert (demo.id, demo.license, demo.publisher) == ("demo", "Apache-2.0", "Hydra Box")
    offers = {offer.facts.format: offer for offer in demo.offers}
    gguf = offers[WeightFormat.GGUF]
    assert gguf.path == str(DEMO_MODEL)
    assert gguf.facts.source is FactsSource.FILE
    assert gguf.facts.has_chat_template
    assert gguf.facts.size_bytes <= 4 * 1024 * 1024


def test_owners_entries_are_added_and_listed(paths: Paths) -> None:
    write_tiny_gguf(paths.home / "tiny.gguf")
    catalog = owners(paths, '[models.tiny]\npath = "tiny.gguf"\ndescription = "small"\n')
    packaged = Catalog.load(Paths(home=paths.home / "none", run=paths.run))
    ids = [spec.id for spec in catalog.list()]
    assert ids == sorted([*(spec.id for spec in packaged.list()), "tiny"])
    tiny = catalog.resolve("tiny")
    assert (tiny.name, tiny.offers[0].path) == ("Tiny", str(paths.home / "tiny.gguf"))
    assert (tiny.description, tiny.context_length, tiny.parameters) == ("small", 512, 37_216)


def test_owners_entry_replaces_a_packaged_one(paths: Paths) -> None:
    path = write_tiny_gguf(paths.home / "tiny.gguf")
    catalog = owners(paths, f'[models.demo]\nname = "Mine"\npath = "{path}"\n')
    assert catalog.resolve("demo").name == "Mine"
    assert [spec.name for spec in catalog.list() if spec.id == "demo"] == ["Mine"]


def test_one_entry_may_have_several_files_of_the_same_model(paths: Paths) -> None:
    write_tiny_gguf(paths.home / "tiny.gguf")
    write_model(paths.home / "tiny")
    catalog = owners(paths, '[models.tiny]\npath = ["tiny.gguf", "tiny"]\n')
    formats = {offer.facts.format for offer in catalog.resolve("tiny").offers}
    assert formats == {WeightFormat.GGUF, WeightFormat.SAFETENSORS}


def test_broken_entry_is_told_and_does_not_hide_the_others(paths: Paths) -> None:
    catalog = owners(paths, '[models.gone]\npath = "/no/such.gguf"\n')
    ids = [spec.id for spec in catalog.list()]
    assert "demo" in ids
    assert "gone" not in ids
    assert catalog.problems() == ("model 'gone': there is no file /no/such.gguf",)


def test_files_that_change_are_read_again(paths: Paths) -> None:
    path = write_tiny_gguf(paths.home / "tiny.gguf")
    catalog = owners(paths, '[models.tiny]\npath = "tiny.gguf"\n')
    assert catalog.resolve("tiny").context_length == 512
    write_tiny_gguf(path, context_length=4096, name="Tiny again")
    assert catalog.resolve("tiny").context_length == 4096


def test_facts_come_from_the_shape(paths: Paths) -> None:
    spec = owners(paths, TINY_SHAPE).resolve("shaped")
    assert (spec.name, spec.publisher, spec.license, spec.gated) == (
        "Shaped",
        "Someone",
        "MIT",
        True,
    )
    assert (spec.parameters, spec.active_parameters) == (494_000_000, 300_000_000)
    assert (spec.modality, spec.context_length) == (Modality.TEXT, 32_768)
    assert spec.hosting == (Hosting.MAAS_BY_TOKEN, Hosting.MODEL_SERVICE)
    assert spec.minimum_versions == {"vllm": "0.8.5", "llama.cpp": "0.3.9"}
    assert spec.price_per_million_input_tokens == 0.5
    assert spec.price_per_million_output_tokens == 1.0
    assert {offer.facts.source for offer in spec.offers} == {FactsSource.CATALOG}
    assert {offer.path for offer in spec.offers} == {None}


def test_offers_are_told_apart_and_the_best_is_first(paths: Paths) -> None:
    offers = owners(paths, TINY_SHAPE).resolve("shaped").offers
    assert [(offer.facts.quantization, offer.repository, offer.revision) for offer in offers] == [
        ("BF16", "someone/shaped", "main"),
        ("Q8_0", "someone/shaped-GGUF", "main"),
        ("AWQ", "someone/shaped-AWQ", "abc"),
        ("Q4_K_M", "someone/shaped-GGUF", "main"),
    ]
    sizes = [offer.facts.weight_bytes for offer in offers]
    assert sizes == sorted(sizes, reverse=True)


def test_exact_size_overrules_the_computed_one(paths: Paths) -> None:
    awq = owners(paths, TINY_SHAPE).resolve("shaped").offers[2]
    assert awq.facts.size_bytes == 500_000_000
    assert awq.facts.weight_bytes == pytest.approx(500_000_000, abs=100)


def test_projector_is_added_to_the_weights(paths: Paths) -> None:
    text = TINY_SHAPE.replace('name = "Shaped"', 'name = "Shaped"\nmodality = "vision"').replace(
        '["Q4_K_M", "Q8_0"] }',
        '{ Q8_0 = 600_000_000 }, projector = { file = "mmproj.gguf", size_bytes = 7_000_000 } }, '
        '{ repo = "someone/more-GGUF", quantizations = ["Q4_0"], '
        'projector = { file = "mmproj.gguf", size_bytes = 7_000_000 } }',
    )
    spec = owners(paths, text).resolve("shaped")
    offers = {offer.facts.quantization: offer for offer in spec.offers}
    exact, computed = offers["Q8_0"].facts, offers["Q4_0"].facts
    assert (exact.projector_bytes, exact.size_bytes) == (7_000_000, 607_000_000)
    assert [file.name for file in exact.files] == ["Q8_0.gguf", "mmproj.gguf"]
    assert computed.projector_bytes == 7_000_000
    assert computed.size_bytes == computed.weight_bytes


def test_image_model_has_sizes_and_companions(paths: Paths) -> None:
    spec = owners(
        paths,
        """
        [models.picture]
        modality = "image"
        architecture = "flux"
        [[models.picture.gguf]]
        repo = "someone/picture-GGUF"
        quantizations = { Q4_K = 6_000 }
        [[models.picture.gguf.companions]]
        repo = "someone/encoders"
        file = "t5.safetensors"
        size_bytes = 500
        """,
    ).resolve("picture")
    (offer,) = spec.offers
    assert spec.modality is offer.facts.modality is Modality.IMAGE
    assert offer.facts.architecture == "flux"
    assert offer.facts.weight_bytes == offer.facts.size_bytes == 6_500
    assert [file.name for file in offer.facts.files] == ["Q4_K.gguf", "t5.safetensors"]


def test_path_of_a_gguf_file_is_resolved_by_its_header(paths: Paths) -> None:
    path = write_tiny_gguf(paths.home / "my model.gguf", name="")
    spec = Catalog.load(paths).resolve(str(path))
    assert (spec.id, spec.name) == (str(path), "my model")
    assert [offer.facts.quantization for offer in spec.offers] == ["F32"]


def test_path_of_a_safetensors_directory_is_resolved(paths: Paths) -> None:
    path = write_model(paths.home / "Tiny-0.6B")
    spec = Catalog.load(paths).resolve(str(path))
    (offer,) = spec.offers
    assert (spec.name, spec.context_length) == ("Tiny-0.6B", 512)
    assert (offer.facts.format, offer.path) == (WeightFormat.SAFETENSORS, str(path))


def test_relative_path_is_made_absolute(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiny_gguf(paths.home / "tiny.gguf")
    monkeypatch.chdir(paths.home)
    assert Catalog.load(paths).resolve("tiny.gguf").offers[0].path == str(path)
    assert Catalog.load(paths).resolve("./tiny.gguf").offers[0].path == str(path)


def test_unknown_id_names_the_nearest(paths: Paths) -> None:
    catalog = Catalog.load(paths)
    rest = "; or give hf:org/repo, or the path of a GGUF file or a model directory"
    with pytest.raises(NotFound) as caught:
        catalog.resolve("demmo")
    assert caught.value.message == "the catalog has no model 'demmo'"
    assert caught.value.hint == f"did you mean demo{rest}"
    with pytest.raises(NotFound) as caught:
        catalog.resolve("xyzzy")
    assert caught.value.hint == f"`hydra-box models list` has them{rest}"


def test_wrong_paths_have_an_error_each(paths: Paths) -> None:
    catalog = Catalog.load(paths)
    with pytest.raises(NotFound, match="there is no file"):
        catalog.resolve("/no/such.gguf")
    with pytest.raises(InvalidModel):
        catalog.resolve(str(paths.home))
    text = paths.home / "text.gguf"
    text.write_text("this is not a model, it is a text")
    with pytest.raises(InvalidModel, match="it starts with b'this'"):
        catalog.resolve(str(text))


def test_what_looks_like_a_repository_is_told_to_be_one(paths: Paths) -> None:
    with pytest.raises(NotFound) as caught:
        Catalog.load(paths).resolve("Qwen/Qwen3-8B")
    assert caught.value.hint == "hf:Qwen/Qwen3-8B is the repository on the hub"


@pytest.mark.parametrize("model", ["hf:", "hf:nobody", "hf:a/b/c", "hf:/b", "hf:../b:x.gguf"])
def test_names_that_are_no_repository(paths: Paths, model: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Catalog.load(paths).resolve(model)
    assert "is not the name of a hub repository" in caught.value.message


def test_without_a_hub_repositories_are_out_of_reach(paths: Paths) -> None:
    catalog = owners(paths, '[[models.small.gguf]]\nrepo = "someone/small-GGUF"\n')
    for model in ("hf:someone/small-GGUF", "hf:someone/small-GGUF:Q4.gguf", "small"):
        with pytest.raises(Unavailable, match="the hub is not reachable"):
            catalog.resolve(model)
    assert catalog.unread() == ("small",)
    assert "small" not in [spec.id for spec in catalog.list()]
    assert catalog.problems() == ()


def test_a_file_that_its_owner_changes_counts_at_once(paths: Paths) -> None:
    catalog = owners(paths, "")
    with pytest.raises(NotFound, match="no model 'mine'"):
        catalog.resolve("mine")
    file = paths.home / "models.toml"
    file.write_text(f'[models.mine]\npath = "{DEMO_MODEL}"\n')
    assert catalog.resolve("mine").offers[0].path == str(DEMO_MODEL)
    assert "mine" in [spec.id for spec in catalog.list()]
    file.write_text('[models.mine]\npaht = "a"\n')
    with pytest.raises(ConfigError, match=r"models\.toml:2: models\.mine\.paht is unknown"):
        catalog.resolve("mine")
    file.unlink()
    with pytest.raises(NotFound, match="no model 'mine'"):
        catalog.resolve("mine")
