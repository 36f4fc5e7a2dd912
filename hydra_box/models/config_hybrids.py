"""Models of attention and Mamba or short convolutions: what each layer keeps, from ``config.json``.

Sizes of the states: arXiv 2312.00752 (Mamba), 2405.21060 (Mamba-2), and vLLM's ``mamba_utils.py``;
in float32, which is the most that vLLM keeps them in.
"""

from __future__ import annotations

from hydra_box.errors import InvalidModel
from hydra_box.models.config_values import ConfigValues
from hydra_box.types import CacheKind, LayerCache

FLOAT32_BYTES = 4
HYBRIDS = frozenset(
    {"bamba", "falcon_h1", "granitemoehybrid", "jamba", "lfm2", "lfm2_moe", "nemotron_h"}
)
PATTERN = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
"""Letters of Nemotron-H's ``hybrid_override_pattern``."""
ATTENTION = frozenset({"attention", "full_attention"})
STATES = frozenset({"mamba", "linear_attention", "conv"})
NOTHING = frozenset({"mlp", "moe"})
"""Layers that are a feed-forward alone."""


def hybrid_caches(values: ConfigValues) -> tuple[LayerCache, ...] | None:
    """The cache of each layer; None: the model is no hybrid of this kind.

    Raises:
        InvalidModel: a number is missing, or a layer is of an unknown kind.

    """
    if values.model_type not in HYBRIDS:
        return None
    heads = values.need("num_attention_heads")
    length = values.number("head_dim") or values.need("hidden_size") // heads
    attention = LayerCache(
        kind=CacheKind.FULL,
        kv_heads=values.number("num_key_value_heads") or heads,
        key_length=length,
        value_length=length,
        state_bytes=_state_bytes(values) if values.model_type == "falcon_h1" else 0,
    )
    state = LayerCache(kind=CacheKind.RECURRENT, state_bytes=_state_bytes(values))
    caches = dict.fromkeys(ATTENTION, attention) | dict.fromkeys(STATES, state)
    caches |= dict.fromkeys(NOTHING, LayerCache(kind=CacheKind.NONE))
    kinds = _kinds(values)
    unknown = sorted(set(kinds) - set(caches))
    if unknown or len(kinds) != values.layers():
        raise InvalidModel(
            f"its config.json has {len(kinds)} kinds for {values.layers()} layers, "
            f"unknown: {', '.join(unknown)[:80] or 'none'}",
            hint="use the model's GGUF file, with llama.cpp",
            param="model",
        )
    return tuple(caches[kind] for kind in kinds)


def _kinds(values: ConfigValues) -> tuple[str, ...]:
    layers = range(values.layers())
    listed = values.texts("layer_types") or values.texts("layers_block_type")
    if listed:
        return listed
    if pattern := values.text("hybrid_override_pattern"):
        return tuple(PATTERN.get(letter, letter) for letter in pattern)
    if values.model_type == "falcon_h1":
        return ("attention",) * len(layers)
    if values.model_type == "jamba":
        period = values.number("attn_layer_period") or 8
        offset = values.find("attn_layer_offset")
        first = 4 if offset is None else offset
        return tuple("attention" if one % period == first else "mamba" for one in layers)
    name = "full_attn_idxs" if values.model_type.startswith("lfm2") else "attn_layer_indices"
    attention = values.numbers(name)
    return tuple("attention" if one in attention else "mamba" for one in layers)


def _state_bytes(values: ConfigValues) -> int:
    width = values.need("hidden_size")
    if short := values.number("conv_L_cache"):
        return FLOAT32_BYTES * width * (short - 1)
    taps = values.need("mamba_d_conv", "conv_kernel") - 1
    state = values.need("mamba_d_state", "ssm_state_size")
    expanded = (values.number("mamba_expand", "expand") or 2) * width
    if values.model_type == "jamba":
        return FLOAT32_BYTES * expanded * (state + taps)
    heads = values.need("mamba_n_heads", "mamba_num_heads")
    inner = values.number("mamba_d_ssm") or expanded
    length = values.number("mamba_d_head", "mamba_head_dim") or inner // heads
    groups = values.number("mamba_n_groups", "n_groups") or 1
    channels = heads * length + 2 * groups * state
    return FLOAT32_BYTES * (heads * length * state + taps * channels)
