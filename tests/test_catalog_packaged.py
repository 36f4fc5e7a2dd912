"""The packaged catalog: what it promises, and that its numbers agree with each other."""

from __future__ import annotations

import pytest

from hydra_box.catalog import Catalog
from hydra_box.catalog.entry import Entry
from hydra_box.config import Paths
from hydra_box.models.shapes import shape_parameters
from hydra_box.types import FactsSource, Hosting, Modality, ModelSpec, WeightFormat

MAAS, SERVICE = Hosting.MAAS_BY_TOKEN, Hosting.MODEL_SERVICE
HOSTED_PRODUCT = {
    "DeepSeek-R1": (MAAS,),
    "DeepSeek-V3": (MAAS,),
    "Phi-4": (SERVICE,),
    "Phi-3.5-mini-instruct": (SERVICE,),
    "Qwen2-0.5B-Instruct": (SERVICE,),
    "Qwen2.5-7B-Instruct": (MAAS, SERVICE),
    "Qwen2.5-14B-Instruct": (SERVICE,),
    "Qwen2.5-Coder-32B-Instruct": (SERVICE,),
    "Qwen2.5-72B-Instruct-AWQ": (MAAS, SERVICE),
    "baichuan2-13b-Chat": (SERVICE,),
    "Llama-3.2-11B-Vision-Instruct": (MAAS, SERVICE),
    "glm-4-9b-chat": (MAAS, SERVICE),
}
"""The hosted product's table "Currently Supported Models and Hosting Methods"."""

FAMILIES = {
    "qwen3-": 8,
    "qwen3.5-": 4,
    "llama-3": 4,
    "gemma-3-": 4,
    "gemma-4-": 3,
    "gpt-oss-": 2,
    "mistral-": 2,
    "ministral-": 2,
    "phi-": 3,
    "deepseek-r1-distill-": 3,
}
"""What people run at home: the first letters of ids, and how many there are at the least."""

TAGS = {
    "chat", "chinese", "code", "embedding", "fast", "image", "math", "moe", "multilingual",
    "reasoning", "rerank", "small", "text", "tools", "vision",
}  # fmt: skip


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    home = tmp_path_factory.mktemp("home")
    return Catalog.load(Paths(home=home, run=home / "run"))


@pytest.fixture(scope="module")
def specs(catalog: Catalog) -> dict[str, ModelSpec]:
    return {spec.id: spec for spec in catalog.list()}


def entries_of(catalog: Catalog) -> dict[str, Entry]:
    return {id: entry for id, entry in catalog.entries.items() if id != "demo"}


def test_everything_loads_and_is_listed_without_the_hub(catalog: Catalog) -> None:
    assert catalog.problems() == ()
    assert catalog.unread() == ()
    assert [spec.id for spec in catalog.list()] == sorted(catalog.entries)


def test_hosting_is_that_of_the_hosted_product(specs: dict[str, ModelSpec]) -> None:
    for name, hosting in HOSTED_PRODUCT.items():
        spec = specs[name.lower()]
        assert (spec.name, spec.hosting) == (name, hosting)
    others = {id: spec for id, spec in specs.items() if spec.name not in HOSTED_PRODUCT}
    assert {spec.hosting for spec in others.values()} == {(SERVICE,)}


def test_what_is_sold_by_token_has_a_price_and_nothing_else_has(
    specs: dict[str, ModelSpec],
) -> None:
    for spec in specs.values():
        sold = MAAS in spec.hosting
        assert (spec.price_per_million_input_tokens is not None) == sold
        assert (spec.price_per_million_output_tokens is not None) == sold


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_there(specs: dict[str, ModelSpec], family: str) -> None:
    assert sum(id.startswith(family) for id in specs) >= FAMILIES[family]


@pytest.mark.parametrize(
    ("modality", "least"),
    [(Modality.EMBEDDING, 4), (Modality.RERANK, 2), (Modality.VISION, 8), (Modality.IMAGE, 3)],
)
def test_modalities_are_there(specs: dict[str, ModelSpec], modality: Modality, least: int) -> None:
    assert sum(spec.modality is modality for spec in specs.values()) >= least


def test_entries_are_complete(catalog: Catalog) -> None:
    for id, entry in entries_of(catalog).items():
        assert entry.name, id
        assert entry.publisher, id
        assert entry.license, id
        assert entry.description.endswith("."), id
        assert entry.tags, id
        assert set(entry.tags) <= TAGS, id
        assert list(entry.tags) == sorted(entry.tags), id
        if entry.modality is not Modality.IMAGE:
            assert entry.shape is not None, id
            assert entry.parameters, id
            assert entry.context_length, id


def test_shape_has_the_published_number_of_parameters(catalog: Catalog) -> None:
    for id, entry in entries_of(catalog).items():
        if entry.shape is not None:
            assert entry.parameters is not None
            computed = shape_parameters(entry.shape)
            assert computed == pytest.approx(entry.parameters, rel=0.005), id


def test_mixtures_of_experts_say_how_many_parameters_work(catalog: Catalog) -> None:
    for id, entry in entries_of(catalog).items():
        sparse = entry.shape is not None and entry.shape.experts > 0
        assert ("moe" in entry.tags) == sparse, id
        assert not sparse or entry.active_parameters is not None, id


def test_vision_towers_are_counted(catalog: Catalog) -> None:
    for id, entry in entries_of(catalog).items():
        sees = entry.modality is Modality.VISION
        assert ("vision" in entry.tags) == sees, id
        if entry.shape is not None:
            assert (entry.shape.vision_parameters > 0) == sees, id


def test_offers_come_from_the_shape_and_name_a_repository(specs: dict[str, ModelSpec]) -> None:
    for spec in specs.values():
        for offer in spec.offers:
            if spec.id == "demo":
                assert offer.path is not None
                assert offer.facts.source is FactsSource.FILE
            else:
                assert offer.repository is not None
                assert offer.revision is not None
                assert offer.facts.source is FactsSource.CATALOG
            assert offer.facts.weight_bytes > 0
            assert offer.facts.modality is spec.modality


def test_no_quantisation_is_offered_twice_in_one_format(specs: dict[str, ModelSpec]) -> None:
    for spec in specs.values():
        named = [(offer.facts.format, offer.facts.quantization) for offer in spec.offers]
        assert len(named) == len(set(named)), spec.id


def test_exact_sizes_are_near_to_the_computed_ones(catalog: Catalog) -> None:
    """A size that is far off belongs to another model; mixtures of their own differ by a little."""
    for id, entry in entries_of(catalog).items():
        if entry.shape is None:
            continue
        for offer in entry.gguf:
            for quantization, size in offer.sizes.items():
                if size is not None:
                    bits = 8 * size / shape_parameters(entry.shape)
                    assert 1.5 < bits < 17, (id, quantization)


def test_models_that_no_current_engine_serves_say_so(specs: dict[str, ModelSpec]) -> None:
    llama = specs["llama-3.2-11b-vision-instruct"]
    assert {offer.facts.format for offer in llama.offers} == {WeightFormat.SAFETENSORS}
    assert "vLLM dropped it after 0.10.2" in llama.description
    baichuan = specs["baichuan2-13b-chat"]
    assert {offer.facts.format for offer in baichuan.offers} == {WeightFormat.GGUF}


def test_awq_alone_is_for_vllm(specs: dict[str, ModelSpec]) -> None:
    (offer,) = specs["qwen2.5-72b-instruct-awq"].offers
    assert (offer.facts.format, offer.facts.quantization) == (WeightFormat.SAFETENSORS, "AWQ")
