"""Exports the demo model as a Hugging Face directory, with the very weights of its GGUF file.

    python scripts/export_demo_model.py OUT_DIR [--dtype float16]

The matrices are dequantised to float32, which holds every Q8_0 value exactly, or to float16, which
is half the size and rounds them: that is what ``hydra_box/assets/demo/hydra-box-demo-hf`` is. Needs
gguf, numpy and safetensors, but neither torch nor transformers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import demo_gguf
import numpy as np
from demo_tokenizer import BOS, IM_END, PAD, tokenizer_json
from safetensors.numpy import save_file

DEFAULT_GGUF = (
    Path(__file__).resolve().parent.parent / "hydra_box" / "assets" / "demo" / "hydra-box-demo.gguf"
)

DTYPES = ("float32", "float16")

_BLOCK_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OTHER_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
}


def hugging_face_name(name: str) -> str:
    """The name that transformers gives the GGUF tensor ``name``."""
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{_BLOCK_NAMES[part]}.weight"


def config(model: demo_gguf.Model, dtype: str) -> dict[str, object]:
    """The content of ``config.json``; sizes are in values, the context in tokens."""
    hyper = model.hyper
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": hyper.vocab,
        "hidden_size": hyper.width,
        "intermediate_size": hyper.feed_forward,
        "num_hidden_layers": hyper.layers,
        "num_attention_heads": hyper.heads,
        "num_key_value_heads": hyper.kv_heads,
        "head_dim": hyper.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": hyper.context,
        "rms_norm_eps": hyper.norm_epsilon,
        "rope_theta": hyper.rope_base,
        "rope_scaling": None,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "initializer_range": 0.04,
        "pretraining_tp": 1,
        "use_cache": True,
        "torch_dtype": dtype,
        **_token_ids(model),
    }


def _token_ids(model: demo_gguf.Model) -> dict[str, object]:
    return {
        "bos_token_id": model.tokens.index(BOS),
        "eos_token_id": model.tokens.index(IM_END),
        "pad_token_id": model.tokens.index(PAD),
    }


def tokenizer_config(model: demo_gguf.Model) -> dict[str, object]:
    """The content of ``tokenizer_config.json``."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": IM_END,
        "pad_token": PAD,
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": model.hyper.context,
        "chat_template": model.chat_template,
    }


def export(gguf_file: Path, directory: Path, dtype: str = "float32") -> None:
    """Write the model of ``gguf_file`` as a Hugging Face directory, which is made if need be."""
    model = demo_gguf.read(gguf_file)
    directory.mkdir(parents=True, exist_ok=True)
    weights = {
        hugging_face_name(name): values.astype(np.dtype(dtype))
        for name, values in model.weights.items()
    }
    matrices = directory / "model.safetensors"
    save_file(weights, matrices, metadata={"format": "pt"})
    # safetensors makes the file private to its owner; an engine may run as another user.
    matrices.chmod(0o644)
    documents: dict[str, object] = {
        "config.json": config(model, dtype),
        "generation_config.json": _token_ids(model),
        "tokenizer.json": tokenizer_json(model.tokens, model.merges),
        "tokenizer_config.json": tokenizer_config(model),
        "special_tokens_map.json": {"bos_token": BOS, "eos_token": IM_END, "pad_token": PAD},
    }
    for name, content in documents.items():
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (directory / name).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Export to the directory named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--gguf", type=Path, default=DEFAULT_GGUF)
    parser.add_argument("--dtype", choices=DTYPES, default=DTYPES[0])
    arguments = parser.parse_args()
    export(arguments.gguf, arguments.directory, arguments.dtype)


if __name__ == "__main__":
    main()
