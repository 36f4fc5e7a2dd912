"""The attention part of a ``config.json``: heads, latents, windows, and which layer has what."""

from __future__ import annotations

from typing import Any

from hydra_box.errors import InvalidModel
from hydra_box.models.config_hybrids import HYBRIDS
from hydra_box.models.config_values import ConfigValues

FULL = frozenset({"full_attention", "attention", "global", "global_attention"})
SLIDING = frozenset({"sliding_attention", "chunked_attention", "local", "local_attention"})
DELTA_NET = frozenset({"linear_attention"})

PERIODS = {
    "gemma2": 2,
    "gemma3_text": 6,
    "gemma3n_text": 5,
    "gemma4_text": 6,
    "cohere2": 4,
    "gpt_oss": 2,
    "llama4_text": 4,
    "olmo3": 4,
    "exaone4": 4,
}
"""Every n-th layer attends to the whole context, where the configuration does not say."""
LATENT = frozenset(
    {
        "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "kimi_k2",
        "kimi_linear", "longcat_flash",
    }
)  # fmt: skip
"""Families whose latent vLLM keeps; it decompresses that of others (``is_deepseek_mla``)."""


def attention_fields(values: ConfigValues) -> dict[str, Any]:
    """The fields of ``Shape`` that tell of attention.

    Raises:
        InvalidModel: a number is missing or impossible, or a layer is of an unknown kind.

    """
    heads = values.need("num_attention_heads", "n_head", "num_heads")
    if values.number("kv_lora_rank"):
        return _latent_fields(values, heads)
    width = values.need("hidden_size", "n_embd", "d_model")
    head_length = values.number("head_dim", "kv_channels") or width // heads
    return {
        "heads": heads,
        "kv_heads": _kv_heads(values) or heads,
        "head_length": head_length,
        "value_length": values.find("v_head_dim"),
        "shared_cache_layers": values.number("num_kv_shared_layers"),
        **_layer_fields(values),
        **_global_fields(values),
    }


def _kv_heads(values: ConfigValues) -> int:
    if values.flag("multi_query"):
        return 1
    return values.number(
        "num_key_value_heads", "num_kv_heads", "multi_query_group_num", "n_head_kv"
    )


def _latent_fields(values: ConfigValues, heads: int) -> dict[str, Any]:
    plain, rope = values.need("qk_nope_head_dim"), values.need("qk_rope_head_dim")
    value = values.need("v_head_dim")
    fields = {"heads": heads, "kv_heads": heads, "value_length": value}
    if values.model_type not in LATENT:
        return fields | {"head_length": plain + rope}
    return fields | {
        "head_length": plain,
        "rope_head_length": rope,
        "kv_lora_rank": values.number("kv_lora_rank"),
        "q_lora_rank": values.number("q_lora_rank"),
    }


def _global_fields(values: ConfigValues) -> dict[str, Any]:
    """Gemma 4: layers that attend to the whole context have longer and fewer heads."""
    if values.model_type != "gemma4_text":
        return {}
    shares = bool(values.flag("attention_k_eq_v"))
    # Newer versions of transformers write what differs for each layer, under its number.
    each = values.part("per_layer_config")
    other = each.part(min(each.keys(), default=""))
    kv_heads = other.find("num_key_value_heads") or values.find("num_global_key_value_heads")
    return {
        "full_head_length": other.find("head_dim") or values.find("global_head_dim"),
        "full_kv_heads": kv_heads if shares else None,
        "value_is_key": shares,
    }


def _layer_fields(values: ConfigValues) -> dict[str, Any]:
    if values.model_type in HYBRIDS:
        return {}
    kinds = values.texts("layer_types") or _usual_kinds(values)
    unknown = set(kinds) - FULL - SLIDING - DELTA_NET
    if unknown:
        raise InvalidModel(
            f"its config.json has layers of an unknown kind: {', '.join(sorted(unknown))}",
            hint="use the model's GGUF file, with llama.cpp",
            param="model",
        )
    fields: dict[str, Any] = {}
    if any(kind in SLIDING for kind in kinds):
        window = values.number("sliding_window", "attention_chunk_size")
        if 0 < window < values.number("max_position_embeddings"):
            fields["window_tokens"] = window
    if any(kind in DELTA_NET for kind in kinds):
        fields |= {
            "recurrent_key_heads": values.need("linear_num_key_heads"),
            "recurrent_value_heads": values.need("linear_num_value_heads"),
            "recurrent_key_length": values.need("linear_key_head_dim"),
            "recurrent_value_length": values.need("linear_value_head_dim"),
            "recurrent_conv_length": values.need("linear_conv_kernel_dim"),
        }
    return fields | _full_layers(kinds) if fields else {}


def _full_layers(kinds: tuple[str, ...]) -> dict[str, Any]:
    """Which layers attend to the whole context: as a period if there is one."""
    full = tuple(layer for layer, kind in enumerate(kinds) if kind in FULL)
    if not full:
        return {}
    every = full[0] + 1
    if full == tuple(range(every - 1, len(kinds), every)):
        return {"full_attention_every": every}
    return {"full_attention_layers": full}


def _usual_kinds(values: ConfigValues) -> tuple[str, ...]:
    """The kinds of layers of a configuration that does not list them."""
    layers = values.layers()
    if values.number("linear_conv_kernel_dim"):
        every = values.number("full_attention_interval") or 4
        return _periodic(layers, every, "linear_attention")
    if values.model_type == "llama4_text" and (rotary := values.numbers("no_rope_layers")):
        return tuple("chunked_attention" if one else "full_attention" for one in rotary)
    if values.model_type in PERIODS:
        said = values.number("sliding_window_pattern", "_sliding_window_pattern")
        return _periodic(layers, said or PERIODS[values.model_type], "sliding_attention")
    slides = values.number("sliding_window") and values.flag("use_sliding_window") is not False
    # Qwen2 has a window in its configuration, and says beside it that it is not used.
    if slides and not values.number("max_window_layers"):
        return ("sliding_attention",) * layers
    return ("full_attention",) * layers


def _periodic(layers: int, every: int, other: str) -> tuple[str, ...]:
    return tuple("full_attention" if (one + 1) % every == 0 else other for one in range(layers))
