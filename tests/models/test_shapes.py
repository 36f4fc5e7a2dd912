"""From a shape to facts: sizes of published files, and where the bytes are."""

from __future__ import annotations

import pytest

from hydra_box.errors import InvalidRequest
from hydra_box.models.k_quants import DEFAULTS, base_quantization
from hydra_box.models.shapes import Shape, shape_facts, shape_of_config, shape_parameters
from hydra_box.models.tensor_sizes import LINEAR_BYTES
from hydra_box.types import (
    CacheKind,
    FactsSource,
    Modality,
    ModelFacts,
    WeightFile,
    WeightFormat,
)
from tests.models import configs
from tests.models.configs import Published
from tests.models.gguf_sizes import PUBLISHED

GGUF, SAFETENSORS = WeightFormat.GGUF, WeightFormat.SAFETENSORS
LLAMA = shape_of_config(configs.LLAMA_31_8B.config)


def facts(
    shape: Shape,
    quantization: str,
    *,
    format: WeightFormat = GGUF,
    modality: Modality = Modality.TEXT,
    files: tuple[WeightFile, ...] = (),
) -> ModelFacts:
    return shape_facts(
        shape, format, quantization, modality=modality, context_length=4096, files=files
    )


@pytest.mark.parametrize(
    ("model", "quantization"),
    [(model, one) for model, (_, sizes) in PUBLISHED.items() for one in sizes],
)
def test_size_of_a_published_gguf_file(model: str, quantization: str) -> None:
    shape, sizes = PUBLISHED[model]
    found = facts(shape, quantization)
    computed = found.weight_bytes - found.projector_bytes
    assert computed == pytest.approx(sizes[quantization], rel=0.01)


SAFETENSORS_SIZES = {
    "BF16": (configs.LLAMA_31_8B, 16_060_556_376),
    "FP8": (configs.LLAMA_31_8B, 9_084_000_000),
    "AWQ": (configs.LLAMA_31_8B, 5_735_000_000),
    "GPTQ": (configs.LLAMA_31_8B, 5_735_000_000),
    "MXFP4": (configs.GPT_OSS_20B, 13_761_300_984),
}
"""Quantisation to a published model of it, and the bytes of its weights."""


@pytest.mark.parametrize("quantization", SAFETENSORS_SIZES)
def test_size_of_published_safetensors(quantization: str) -> None:
    published, size = SAFETENSORS_SIZES[quantization]
    shape = shape_of_config(published.config)
    assert facts(shape, quantization, format=SAFETENSORS).weight_bytes == pytest.approx(
        size, rel=0.02
    )


def test_fp8_of_deepseek_is_its_own_format() -> None:
    found = facts(shape_of_config(configs.DEEPSEEK_V3.config), "FP8", format=SAFETENSORS)
    # 688.6 GB are published, 11.5 GB of them for predicting more tokens ahead.
    assert found.weight_bytes == pytest.approx(677e9, rel=0.02)


def test_parts_add_up() -> None:
    found = facts(LLAMA, "Q8_0")
    assert found.source is FactsSource.CATALOG
    assert found.architecture == "llama"
    assert len(found.layers) == len(found.layer_weight_bytes) == 32
    assert found.parameters == shape_parameters(LLAMA) == 8_030_261_248
    assert found.input_weight_bytes == 128256 * 4096 // 32 * 34
    assert found.output_weight_bytes == found.input_weight_bytes + 4 * 4096
    assert found.size_bytes == found.weight_bytes
    assert facts(LLAMA, "BF16", format=SAFETENSORS).architecture == "LlamaForCausalLM"


def test_a_mixture_gives_some_layers_more() -> None:
    sizes = facts(LLAMA, "Q4_K_M").layer_weight_bytes
    assert sizes[0] == sizes[1] == sizes[31] > sizes[4]
    assert len(set(sizes)) == 2
    assert len(set(facts(LLAMA, "Q4_1").layer_weight_bytes)) == 1


def test_exact_sizes_scale_every_part() -> None:
    exact = PUBLISHED["llama-3.1-8b"][1]["Q4_K_M"]
    file = WeightFile(name="llama.gguf", size_bytes=exact)
    found = facts(LLAMA, "Q4_K_M", files=(file,))
    assert found.weight_bytes == pytest.approx(exact, abs=64)
    assert found.files == (file,)


def test_projector_is_apart_in_gguf_and_inside_in_safetensors() -> None:
    shape = shape_of_config(configs.GEMMA_3_4B.config)
    computed = facts(shape, "Q4_K_M", modality=Modality.VISION)
    assert computed.projector_bytes == 2 * shape.vision_parameters
    assert computed.other_weight_bytes == 0
    files = (
        WeightFile(name="gemma.gguf", size_bytes=2_489_757_856),
        WeightFile(name="mmproj-F16.gguf", size_bytes=851_251_104),
    )
    exact = facts(shape, "Q4_K_M", modality=Modality.VISION, files=files)
    assert exact.projector_bytes == 851_251_104
    assert exact.weight_bytes == pytest.approx(exact.size_bytes, abs=64)
    whole = facts(shape, "BF16", format=SAFETENSORS, modality=Modality.VISION)
    assert (whole.projector_bytes, whole.other_weight_bytes) == (0, 2 * shape.vision_parameters)


def test_tied_embeddings_have_no_output_matrix() -> None:
    found = facts(shape_of_config(configs.QWEN_3_EMBEDDING_06B.config), "F16")
    assert found.tied_embeddings
    assert found.output_weight_bytes == 4 * 1024


def test_tables_of_each_layer_are_looked_up_like_the_token_embedding() -> None:
    shape = shape_of_config(configs.GEMMA_4_E2B_TEXT.config)
    tables = 262_144 * 35 * 256
    assert facts(shape, "F16").input_weight_bytes > 2 * (tables + 262_144 * 1536)


def test_windows_of_the_facts() -> None:
    layers = facts(shape_of_config(configs.GPT_OSS_20B.config), "MXFP4").layers
    assert [one.kind for one in layers[:2]] == [CacheKind.SLIDING, CacheKind.FULL]


def test_experts_of_gpt_oss_keep_their_own_four_bits() -> None:
    shape = shape_of_config(configs.GPT_OSS_20B.config)
    assert facts(shape, "Q4_K_M").weight_bytes == pytest.approx(11.7e9, rel=0.03)


def test_what_cannot_be_had() -> None:
    with pytest.raises(InvalidRequest, match="'Q9' is not a quantisation of GGUF"):
        facts(LLAMA, "Q9")
    with pytest.raises(InvalidRequest, match="'Q4_K_M' is not a quantisation of safetensors"):
        facts(LLAMA, "Q4_K_M", format=SAFETENSORS)
    vision = Published(configs.LLAMA_32_11B_VISION.config, 0)
    with pytest.raises(InvalidRequest, match="does not read MllamaForConditional"):
        facts(shape_of_config(vision.config), "Q4_K_M")


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("Q4_K_M", "Q4_K_M"),
        ("q4_k_m", "Q4_K_M"),
        ("UD-Q4_K_XL", "Q4_K_M"),
        ("Q4_K_L", "Q4_K_M"),
        ("Q3_K_L", "Q3_K_L"),
        ("Q6_K_L", "Q6_K"),
        ("UD-Q8_K_XL", "Q8_0"),
        ("UD-IQ2_XXS", "IQ2_XXS"),
        ("MXFP4_MOE", "MXFP4"),
        ("AWQ", None),
        ("", None),
    ],
)
def test_publishers_own_mixtures(name: str, base: str | None) -> None:
    assert base_quantization(name) == base


@pytest.mark.parametrize("name", configs.ALL)
def test_every_shape_has_facts_in_every_quantisation(name: str) -> None:
    shape = shape_of_config(configs.ALL[name].config)
    if shape.gguf_architecture is not None:
        sizes = {one: facts(shape, one).weight_bytes for one in DEFAULTS}
        assert max(sizes, key=lambda one: sizes[one]) == "F32"
        assert sizes["Q8_0"] > sizes["Q6_K"] > sizes["Q5_K_M"] > sizes["Q4_K_M"] > sizes["Q3_K_M"]
    sizes = {one: facts(shape, one, format=SAFETENSORS).weight_bytes for one in LINEAR_BYTES}
    assert sizes["BF16"] > sizes["FP8"] > sizes["AWQ"] > 0
