"""What each block of a shape keeps of the tokens it has seen."""

from __future__ import annotations

from hydra_box.models.shape import Shape
from hydra_box.models.shape_tensors import attention_lengths, is_full_attention, is_recurrent
from hydra_box.types import CacheKind, LayerCache, WeightFormat

FLOAT32_BYTES = 4
WINDOW_IGNORED = frozenset({"llama", "phi3", "qwen2", "qwen2moe", "qwen3", "qwen3moe"})
"""GGUF architectures whose window llama.cpp does not use: each layer keeps the whole context."""


def shape_caches(shape: Shape, format: WeightFormat) -> tuple[LayerCache, ...]:
    """One for each block; the format decides the engine, and engines differ in what they keep."""
    return tuple(_layer_cache(shape, layer, format) for layer in range(shape.layers))


def delta_net_state_bytes(
    *, key_heads: int, value_heads: int, key_length: int, value_length: int, conv_length: int
) -> int:
    """State of a gated delta net: one matrix a value head, and the last inputs of the convolution.

    Source: arXiv 2412.06464, and llama.cpp's ``n_embd_s`` and ``n_embd_r``; float32.
    """
    matrices = value_heads * key_length * value_length
    channels = 2 * key_heads * key_length + value_heads * value_length
    return FLOAT32_BYTES * (matrices + (conv_length - 1) * channels)


def _layer_cache(shape: Shape, layer: int, format: WeightFormat) -> LayerCache:
    if not shape.causal or layer >= shape.layers - shape.shared_cache_layers:
        return LayerCache(kind=CacheKind.NONE)
    if is_recurrent(shape, layer):
        return LayerCache(kind=CacheKind.RECURRENT, state_bytes=_state_bytes(shape))
    if shape.kv_lora_rank:
        return latent_cache(shape.kv_lora_rank, shape.rope_head_length)
    kv_heads, key, value = attention_lengths(shape, layer)
    sliding = shape.window_tokens is not None and not is_full_attention(shape, layer)
    if sliding and format is WeightFormat.GGUF:
        sliding = shape.gguf_architecture not in WINDOW_IGNORED
    return LayerCache(
        kind=CacheKind.SLIDING if sliding else CacheKind.FULL,
        kv_heads=kv_heads,
        key_length=key,
        value_length=value,
        window_tokens=shape.window_tokens if sliding else None,
    )


def latent_cache(rank: int, rope_head_length: int) -> LayerCache:
    """The cache of multi-head latent attention: the latent and the rotary part, for all heads."""
    return LayerCache(
        kind=CacheKind.LATENT, kv_heads=1, key_length=rank + rope_head_length, value_length=rank
    )


def _state_bytes(shape: Shape) -> int:
    return delta_net_state_bytes(
        key_heads=shape.recurrent_key_heads,
        value_heads=shape.recurrent_value_heads,
        key_length=shape.recurrent_key_length,
        value_length=shape.recurrent_value_length,
        conv_length=shape.recurrent_conv_length,
    )
