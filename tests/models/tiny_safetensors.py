"""Makes transformers models of zeros: what a directory of safetensors has, small."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

LAYERS, WIDTH, VOCABULARY = 2, 32, 64
CONFIG: dict[str, object] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}
TOKENIZER_CONFIG = {"chat_template": "{{ messages[0].content }}"}
Shapes = Mapping[str, tuple[int, ...]]


def language_tensors(prefix: str = "model.") -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of ``CONFIG``."""
    shapes = {
        f"{prefix}embed_tokens.weight": (VOCABULARY, WIDTH),
        f"{prefix}norm.weight": (WIDTH,),
        "lm_head.weight": (VOCABULARY, WIDTH),
    }
    for layer in range(LAYERS):
        at = f"{prefix}layers.{layer}."
        shapes |= {
            f"{at}input_layernorm.weight": (WIDTH,),
            f"{at}self_attn.q_proj.weight": (32, WIDTH),
            f"{at}self_attn.k_proj.weight": (16, WIDTH),
            f"{at}self_attn.v_proj.weight": (16, WIDTH),
            f"{at}self_attn.o_proj.weight": (WIDTH, 32),
            f"{at}mlp.up_proj.weight": (64, WIDTH),
        }
    return shapes


def write_model(
    directory: Path,
    *,
    config: Mapping[str, object] | None = None,
    tensors: Shapes | None = None,
    shards: int = 1,
    dtypes: Mapping[str, str] | None = None,
) -> Path:
    """Write a model and return its directory; elements are float16, or as ``dtypes`` says."""
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "config.json", {**CONFIG, **(config or {})})
    write_json(directory / "tokenizer_config.json", TOKENIZER_CONFIG)
    (directory / "tokenizer.json").write_text("{}")
    shapes = language_tensors() if tensors is None else tensors
    arrays = {
        name: np.zeros(shape, dtype=(dtypes or {}).get(name, "float16"))
        for name, shape in shapes.items()
    }
    if shards == 1:
        save_file(arrays, directory / "model.safetensors")
    else:
        _write_shards(directory, arrays, shards)
    return directory


def write_json(path: Path, value: Mapping[str, object] | Sequence[object]) -> Path:
    """Write a value and return the path."""
    path.write_text(json.dumps(value))
    return path


def _write_shards(directory: Path, arrays: Mapping[str, np.ndarray], shards: int) -> None:
    names = sorted(arrays)
    where: dict[str, str] = {}
    for number in range(shards):
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = names[number::shards]
        save_file({name: arrays[name] for name in part}, directory / file)
        where |= dict.fromkeys(part, file)
    write_json(directory / "model.safetensors.index.json", {"weight_map": where})
