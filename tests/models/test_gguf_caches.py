"""What llama.cpp keeps of the tokens, for every way that an architecture tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.errors import InvalidModel
from hydra_box.types import CacheKind, LayerCache
from tests.models.headers import Values, facts_of

COMMON: dict[str, int] = {
    "block_count": 6,
    "embedding_length": 128,
    "feed_forward_length": 256,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
}
FULL = LayerCache(kind=CacheKind.FULL, kv_heads=2, key_length=32, value_length=32)
NONE = LayerCache(kind=CacheKind.NONE)


def sliding(window: int, length: int = 32) -> LayerCache:
    return LayerCache(
        kind=CacheKind.SLIDING,
        kv_heads=2,
        key_length=length,
        value_length=length,
        window_tokens=window,
    )


def state(elements: int) -> LayerCache:
    return LayerCache(kind=CacheKind.RECURRENT, state_bytes=4 * elements)


def caches(directory: Path, architecture: str, values: Values) -> tuple[LayerCache, ...]:
    return facts_of(directory, architecture, {**COMMON, **values}).layers


def test_every_block_keeps_all_tokens(tmp_path: Path) -> None:
    assert caches(tmp_path, "llama", {}) == (FULL,) * 6


def test_window_of_an_architecture_that_llama_cpp_does_not_slide(tmp_path: Path) -> None:
    assert caches(tmp_path, "llama", {"attention.sliding_window": 512}) == (FULL,) * 6
    assert caches(tmp_path, "phi3", {"attention.sliding_window": 512}) == (FULL,) * 6


def test_kv_heads_default_to_the_query_heads(tmp_path: Path) -> None:
    values = {key: one for key, one in COMMON.items() if key != "attention.head_count_kv"}
    layers = facts_of(tmp_path, "llama", values).layers
    assert {layer.kv_heads for layer in layers} == {4}


def test_own_lengths_of_key_and_value(tmp_path: Path) -> None:
    lengths = {"attention.key_length": 48, "attention.value_length": 40}
    layer = caches(tmp_path, "llama", lengths)[0]
    assert (layer.key_length, layer.value_length) == (48, 40)


def test_kv_heads_of_each_block(tmp_path: Path) -> None:
    layers = caches(tmp_path, "openelm", {"attention.head_count_kv": [1, 2, 1, 2, 4, 4]})
    assert [layer.kv_heads for layer in layers] == [1, 2, 1, 2, 4, 4]


def test_block_without_attention_keeps_nothing(tmp_path: Path) -> None:
    layers = caches(tmp_path, "deci", {"attention.head_count_kv": [2, 0, 2, 2, 0, 2]})
    assert layers == (FULL, NONE, FULL, FULL, NONE, FULL)


@pytest.mark.parametrize(
    ("architecture", "window", "full"),
    [
        ("gemma2", 512, [1, 3, 5]),
        ("gemma3", 512, [5]),
        ("gpt-oss", 128, [1, 3, 5]),
        ("cohere2", 512, [3]),
        ("olmo2", 512, [3]),
        ("cohere2moe", 512, [0, 4]),
        ("lfm2", 512, []),
    ],
)
def test_pattern_of_the_architecture(
    tmp_path: Path, architecture: str, window: int, full: list[int]
) -> None:
    layers = caches(tmp_path, architecture, {"attention.sliding_window": window})
    assert layers == tuple(FULL if one in full else sliding(window) for one in range(6))


def test_pattern_in_the_file_comes_first(tmp_path: Path) -> None:
    window = {"attention.sliding_window": 64}
    key = "attention.sliding_window_pattern"
    said = caches(tmp_path, "gemma3", {**window, key: [True, False, True, True, False, True]})
    assert [layer.kind is CacheKind.FULL for layer in said] == [
        False, True, False, False, True, False,
    ]  # fmt: skip
    period = caches(tmp_path, "gemma3", {**window, key: 3})
    assert [layer.kind is CacheKind.FULL for layer in period] == [False, False, True] * 2


def test_window_without_a_number(tmp_path: Path) -> None:
    assert caches(tmp_path, "gemma2", {})[0] == sliding(4096)
    assert caches(tmp_path, "gemma3", {}) == (FULL,) * 6
    assert caches(tmp_path, "llama4", {})[0] == sliding(8192)
    assert caches(tmp_path, "llama4", {"attention.sliding_window": 0}) == (FULL,) * 6


def test_exaone_4_slides_in_its_large_size_alone(tmp_path: Path) -> None:
    assert caches(tmp_path, "exaone4", {"attention.sliding_window": 512}) == (FULL,) * 6
    large = caches(tmp_path, "exaone4", {"block_count": 64, "attention.sliding_window": 512})
    assert (large[0], large[3]) == (sliding(512), FULL)


def test_gemma_4_has_other_heads_where_it_slides_and_shares_caches(tmp_path: Path) -> None:
    layers = caches(
        tmp_path,
        "gemma4",
        {
            "attention.key_length": 64,
            "attention.value_length": 64,
            "attention.key_length_swa": 32,
            "attention.value_length_swa": 32,
            "attention.sliding_window": 512,
            "attention.sliding_window_pattern": [True, True, False, True, True, False],
            "attention.shared_kv_layers": 2,
        },
    )
    full = LayerCache(kind=CacheKind.FULL, kv_heads=2, key_length=64, value_length=64)
    slides = sliding(512)
    assert layers == (slides, slides, full, slides, NONE, NONE)


def test_gemma_3n_keeps_the_first_twenty(tmp_path: Path) -> None:
    layers = caches(tmp_path, "gemma3n", {"block_count": 30, "attention.sliding_window": 512})
    assert [layer.kind for layer in layers[18:22]] == [
        CacheKind.SLIDING, CacheKind.FULL, CacheKind.NONE, CacheKind.NONE,
    ]  # fmt: skip


LATENT = {
    "attention.head_count_kv": 1,
    "attention.kv_lora_rank": 512,
    "attention.key_length": 576,
    "attention.value_length": 512,
    "attention.key_length_mla": 192,
    "attention.value_length_mla": 128,
}


def test_latent_attention(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, "deepseek2", {**COMMON, **LATENT})
    latent = LayerCache(kind=CacheKind.LATENT, kv_heads=1, key_length=576, value_length=512)
    assert facts.layers == (latent,) * 6
    assert facts.head_length == 192


def test_latent_attention_of_an_old_file_is_kept_decompressed(tmp_path: Path) -> None:
    layers = caches(
        tmp_path,
        "deepseek2",
        {
            "attention.head_count_kv": 4,
            "attention.kv_lora_rank": 512,
            "attention.key_length": 192,
            "attention.value_length": 128,
        },
    )
    full = LayerCache(kind=CacheKind.FULL, kv_heads=4, key_length=192, value_length=128)
    assert layers == (full,) * 6


def test_indexer_keeps_one_key_more(tmp_path: Path) -> None:
    layer = caches(tmp_path, "glm-dsa", {**LATENT, "attention.indexer.key_length": 128})[0]
    assert (layer.kind, layer.key_length) == (CacheKind.LATENT, 704)


def test_blocks_that_predict_more_tokens_keep_nothing(tmp_path: Path) -> None:
    assert caches(tmp_path, "glm4moe", {"nextn_predict_layers": 1}) == (*(FULL,) * 5, NONE)


SSM = {"ssm.conv_kernel": 4, "ssm.inner_size": 256, "ssm.state_size": 16, "ssm.group_count": 1}
MAMBA_2 = 16 * 256 + 3 * (256 + 2 * 16)


def test_mamba(tmp_path: Path) -> None:
    first = {key: one for key, one in SSM.items() if key != "ssm.group_count"}
    values = {"block_count": 3, "embedding_length": 128, "attention.head_count": 0}
    layers = facts_of(tmp_path, "mamba", {**values, **first}).layers
    assert layers == (state(16 * 256 + 3 * 256),) * 3
    assert facts_of(tmp_path, "mamba2", {**values, **SSM}).layers == (state(MAMBA_2),) * 3


@pytest.mark.parametrize("architecture", ["jamba", "granitehybrid", "plamo2"])
def test_hybrid_by_its_kv_heads(tmp_path: Path, architecture: str) -> None:
    layers = caches(tmp_path, architecture, {**SSM, "attention.head_count_kv": [0, 0, 2, 0, 0, 2]})
    s = state(MAMBA_2)
    assert layers == (s, s, FULL, s, s, FULL)


def test_nemotron_h_has_blocks_of_a_feed_forward_alone(tmp_path: Path) -> None:
    layers = caches(
        tmp_path,
        "nemotron_h",
        {
            **SSM,
            "attention.head_count_kv": [0, 0, 2, 0, 0, 0],
            "feed_forward_length": [0, 256, 0, 256, 0, 256],
        },
    )
    assert layers == (state(MAMBA_2), NONE, FULL, NONE, state(MAMBA_2), NONE)


def test_falcon_h1_keeps_both_in_every_block(tmp_path: Path) -> None:
    layers = caches(tmp_path, "falcon-h1", SSM)
    both = LayerCache(
        kind=CacheKind.FULL, kv_heads=2, key_length=32, value_length=32, state_bytes=4 * MAMBA_2
    )
    assert layers == (both,) * 6


@pytest.mark.parametrize("architecture", ["qwen3next", "qwen35", "qwen35moe"])
def test_every_fourth_block_is_attention(tmp_path: Path, architecture: str) -> None:
    s = state(MAMBA_2)
    assert caches(tmp_path, architecture, SSM) == (s, s, s, FULL, s, s)
    assert caches(tmp_path, architecture, {**SSM, "full_attention_interval": 2}) == (s, FULL) * 3


def test_short_convolution(tmp_path: Path) -> None:
    layers = caches(
        tmp_path,
        "lfm2",
        {"shortconv.l_cache": 3, "attention.head_count_kv": [0, 0, 2, 0, 2, 0]},
    )
    s = state(128 * 2)
    assert layers == (s, s, FULL, s, FULL, s)


def test_rwkv(tmp_path: Path) -> None:
    values = {"block_count": 2, "embedding_length": 128, "attention.head_count": 0}
    layers = facts_of(tmp_path, "rwkv7", {**values, "wkv.head_size": 64}).layers
    assert layers == (state(128 * (2 + 64)),) * 2


@pytest.mark.parametrize("architecture", ["bert", "nomic-bert", "modern-bert", "gemma-embedding"])
def test_encoders_keep_nothing(tmp_path: Path, architecture: str) -> None:
    assert caches(tmp_path, architecture, {"attention.causal": False}) == (NONE,) * 6


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        ({"block_count": 0}, "its llama.block_count is 0"),
        ({"block_count": 1_000_000}, "its llama.block_count is 1000000"),
        ({"attention.head_count": 2**31}, "its llama.attention.head_count is 2,147,483,648"),
    ],
)
def test_impossible_numbers(tmp_path: Path, values: dict[str, int], fact: str) -> None:
    with pytest.raises(InvalidModel, match=fact):
        caches(tmp_path, "llama", values)
