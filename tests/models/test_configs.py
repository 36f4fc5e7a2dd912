"""``config.json`` to a shape: the published counts, and what the layers keep."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hydra_box.errors import InvalidModel
from hydra_box.models.config_hybrids import hybrid_caches
from hydra_box.models.config_values import ConfigValues
from hydra_box.models.configs import config_context_length
from hydra_box.models.shape_caches import shape_caches
from hydra_box.models.shapes import shape_of_config, shape_parameters
from hydra_box.types import CacheKind, LayerCache, WeightFormat
from tests.models import configs
from tests.models.configs import Published

ROUGH = {"LLAMA_32_11B_VISION": 0.015}
"""Mllama's vision tower has tables of tiles that no other has, 1 % of the model."""


@pytest.mark.parametrize("name", configs.ALL)
def test_published_count(name: str) -> None:
    published = configs.ALL[name]
    counted = shape_parameters(shape_of_config(published.config))
    assert counted == pytest.approx(published.parameters, rel=ROUGH.get(name, 0.005))


def kept(published: Published) -> tuple[LayerCache, ...]:
    return shape_caches(shape_of_config(published.config), WeightFormat.SAFETENSORS)


def kinds(published: Published) -> list[CacheKind]:
    return [layer.kind for layer in kept(published)]


def test_full_attention() -> None:
    full = LayerCache(kind=CacheKind.FULL, kv_heads=8, key_length=128, value_length=128)
    assert kept(configs.LLAMA_31_8B) == (full,) * 32


def test_a_window_that_is_switched_off() -> None:
    for published in (configs.QWEN_25_7B, configs.QWEN_2_VL_7B, configs.QWEN_3_30B_A3B):
        assert set(kinds(published)) == {CacheKind.FULL}


def test_a_window_in_every_layer() -> None:
    assert set(kinds(configs.PHI_3_MINI)) == {CacheKind.SLIDING}
    # llama.cpp leaves Phi-3's window out.
    shape = shape_of_config(configs.PHI_3_MINI.config)
    assert {one.kind for one in shape_caches(shape, WeightFormat.GGUF)} == {CacheKind.FULL}


@pytest.mark.parametrize(
    ("published", "period", "window"),
    [
        (configs.GPT_OSS_20B, 2, 128),
        (configs.GEMMA_2_9B, 2, 4096),
        (configs.GEMMA_3_27B, 6, 1024),
        (configs.COMMAND_R7B, 4, 4096),
    ],
)
def test_sliding_pattern(published: Published, period: int, window: int) -> None:
    for number, layer in enumerate(kept(published), 1):
        assert (layer.kind is CacheKind.FULL) == (number % period == 0)
        assert layer.window_tokens == (None if layer.kind is CacheKind.FULL else window)


def test_latent_attention() -> None:
    latent = LayerCache(kind=CacheKind.LATENT, kv_heads=1, key_length=576, value_length=512)
    assert kept(configs.DEEPSEEK_V3) == (latent,) * 61


def test_latent_that_vllm_decompresses() -> None:
    config = {**configs.DEEPSEEK_V2_LITE.config, "model_type": "minicpm3"}
    layer = shape_caches(shape_of_config(config), WeightFormat.SAFETENSORS)[0]
    full = LayerCache(kind=CacheKind.FULL, kv_heads=16, key_length=192, value_length=128)
    assert layer == full


def test_delta_net() -> None:
    layers = kept(configs.QWEN_3_NEXT_80B)
    assert layers[3] == LayerCache(
        kind=CacheKind.FULL, kv_heads=2, key_length=256, value_length=256
    )
    state = 4 * (32 * 128 * 128 + 3 * (2 * 16 * 128 + 32 * 128))
    assert layers[0] == LayerCache(kind=CacheKind.RECURRENT, state_bytes=state)
    assert sum(one.kind is CacheKind.FULL for one in layers) == 12


def test_gemma_4_has_other_heads_where_it_sees_everything() -> None:
    layers = kept(configs.GEMMA_4_31B)
    assert (layers[0].kv_heads, layers[0].key_length) == (16, 256)
    assert (layers[5].kv_heads, layers[5].key_length) == (4, 512)
    assert layers[5].value_length == 512


def test_gemma_4_shares_caches() -> None:
    layers = kept(configs.GEMMA_4_E2B_TEXT)
    assert [one.kind for one in layers[15:]] == [CacheKind.NONE] * 20
    assert (layers[4].kv_heads, layers[4].key_length) == (1, 512)


def test_layers_without_a_period() -> None:
    kinds = ["full_attention", "sliding_attention", "full_attention", "full_attention"]
    config = {
        **configs.MISTRAL_7B.config,
        "num_hidden_layers": 4,
        "layer_types": kinds,
        "sliding_window": 512,
    }
    found = [one.kind for one in kept(Published(config, 0))]
    assert found == [
        CacheKind.FULL if one == "full_attention" else CacheKind.SLIDING for one in kinds
    ]


HYBRID = {
    "architectures": ["Hybrid"],
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
ATTENTION = LayerCache(kind=CacheKind.FULL, kv_heads=2, key_length=16, value_length=16)
MAMBA_2 = {"n_heads": 8, "d_head": 16, "d_state": 32, "n_groups": 1, "d_conv": 4}
MAMBA_2_STATE = LayerCache(
    kind=CacheKind.RECURRENT, state_bytes=4 * (8 * 16 * 32 + 3 * (8 * 16 + 2 * 32))
)
NONE = LayerCache(kind=CacheKind.NONE)


@pytest.mark.parametrize(
    ("family", "values", "layers"),
    [
        (
            "granitemoehybrid",
            {"layer_types": ["mamba", "attention"]},
            (MAMBA_2_STATE, ATTENTION),
        ),
        ("bamba", {"attn_layer_indices": [1]}, (MAMBA_2_STATE, ATTENTION)),
        (
            "nemotron_h",
            {
                "hybrid_override_pattern": "M*-E",
                "mamba_num_heads": 8,
                "mamba_head_dim": 16,
                "ssm_state_size": 32,
                "n_groups": 1,
                "conv_kernel": 4,
            },
            (MAMBA_2_STATE, ATTENTION, NONE, NONE),
        ),
        (
            "falcon_h1",
            {"mamba_d_ssm": 128},
            (replace(ATTENTION, state_bytes=MAMBA_2_STATE.state_bytes),) * 2,
        ),
        (
            "jamba",
            {"attn_layer_period": 2, "attn_layer_offset": 1},
            (
                LayerCache(kind=CacheKind.RECURRENT, state_bytes=4 * 128 * (32 + 3)),
                ATTENTION,
            ),
        ),
        (
            "lfm2",
            {"conv_L_cache": 3, "layer_types": ["conv", "full_attention"]},
            (LayerCache(kind=CacheKind.RECURRENT, state_bytes=4 * 64 * 2), ATTENTION),
        ),
    ],
)
def test_hybrids(family: str, values: dict[str, object], layers: tuple[LayerCache, ...]) -> None:
    mamba = {} if family == "nemotron_h" else {f"mamba_{key}": one for key, one in MAMBA_2.items()}
    config = {**HYBRID, **mamba, **values, "model_type": family, "num_hidden_layers": len(layers)}
    assert hybrid_caches(ConfigValues(config)) == layers


def test_hybrid_with_a_layer_that_is_not_known() -> None:
    config = {**HYBRID, "model_type": "lfm2", "num_hidden_layers": 2, "conv_L_cache": 3}
    with pytest.raises(InvalidModel, match="has 1 kinds for 2 layers, unknown: quantum"):
        hybrid_caches(ConfigValues({**config, "layer_types": ["quantum"]}))
    assert hybrid_caches(ConfigValues(configs.LLAMA_31_8B.config)) is None


def test_encoders_keep_nothing() -> None:
    for published in (configs.BGE_M3, configs.BERT_BASE, configs.MODERNBERT_BASE):
        assert set(kinds(published)) == {CacheKind.NONE}


def test_first_layers_of_a_mixture_are_dense() -> None:
    shape = shape_of_config(configs.DEEPSEEK_V3.config)
    assert (shape.dense_layers, shape.feed_forward_length, shape.experts) == (3, 18432, 256)


def test_llama_4_has_experts_in_every_second_layer() -> None:
    shape = shape_of_config(
        {
            "architectures": ["Llama4ForConditionalGeneration"],
            "model_type": "llama4",
            "text_config": {
                "model_type": "llama4_text",
                "num_local_experts": 128,
                "interleave_moe_layer_step": 2,
                "no_rope_layers": [1, 1, 1, 0] * 12,
            },
        }
    )
    assert (shape.expert_every, shape.shared_expert_feed_forward_length) == (2, 8192)
    assert (shape.feed_forward_length, shape.full_attention_every) == (16384, 4)
    assert shape_parameters(shape) == pytest.approx(400e9, rel=0.01)


@pytest.mark.parametrize(
    ("published", "tokens"),
    [
        (configs.LLAMA_31_8B, 131072),
        (configs.CHATGLM_3_6B, 8192),
        (configs.GEMMA_3_4B, 131072),
        (configs.BGE_M3, 8192),
        (configs.BERT_BASE, 512),
    ],
)
def test_context_length(published: Published, tokens: int) -> None:
    assert config_context_length(published.config) == tokens


def test_gguf_architectures() -> None:
    names = {
        name: shape_of_config(one.config).gguf_architecture for name, one in configs.ALL.items()
    }
    assert names["MISTRAL_7B"] == names["MIXTRAL_8X7B"] == names["LLAMA_31_8B"] == "llama"
    assert names["DEEPSEEK_V3"] == "deepseek2"
    assert names["GPT_OSS_20B"] == "gpt-oss"
    assert names["QWEN_35_27B"] == "qwen35"
    assert names["LLAMA_32_11B_VISION"] is None


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"hidden_size": None}, "has no hidden_size"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers = 1,000,000"),
        ({"hidden_size": -1}, "hidden_size = -1"),
        ({"vocab_size": 2**40}, "vocab_size = 1,099,511,627,776"),
        ({"num_attention_heads": 0}, "has no num_attention_heads"),
        ({"architectures": []}, "names no architecture"),
        ({"layer_types": ["mamba"] * 32}, "layers of an unknown kind: mamba"),
    ],
)
def test_impossible_configurations(change: dict[str, object], fact: str) -> None:
    with pytest.raises(InvalidModel, match=fact):
        shape_of_config({**configs.LLAMA_31_8B.config, **change})


KEYS = sorted({key for one in configs.ALL.values() for key in one.config})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@settings(max_examples=300)
@given(
    name=st.sampled_from(sorted(configs.ALL)), change=st.dictionaries(st.sampled_from(KEYS), JSON)
)
def test_any_configuration_does_no_worse_than_an_error(
    name: str, change: dict[str, object]
) -> None:
    config = {**configs.ALL[name].config, **change}
    with contextlib.suppress(InvalidModel):
        shape = shape_of_config(config)
        assert shape_parameters(shape) > 0
        assert len(shape_caches(shape, WeightFormat.SAFETENSORS)) == shape.layers
