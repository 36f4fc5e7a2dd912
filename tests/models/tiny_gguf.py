"""Makes models of random weights, small enough to write in milliseconds and real enough to serve.

The Llama's tokens are the 256 bytes, so it takes any text and answers nonsense. The seed is
fixed: the same arguments give the same file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, LlamaFileType, PoolingType, TokenType

LAYERS, HEADS = 2, 2
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def write_tiny_gguf(
    path: Path,
    *,
    context_length: int = 512,
    architecture: str = "llama",
    chat_template: str | None = CHAT_TEMPLATE,
    name: str = "Tiny",
    width: int = 32,
) -> Path:
    """Write the model to ``path`` and return it; ``width`` makes it slower."""
    writer = GGUFWriter(path, architecture)
    writer.add_name(name)
    writer.add_context_length(context_length)
    writer.add_embedding_length(width)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(LlamaFileType.ALL_F32)
    _add_tokenizer(writer)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    _add_tensors(writer, width)
    _write(writer)
    return path


def write_tiny_embedder(path: Path, *, context_length: int = 512) -> Path:
    """A BERT of random weights, which makes embeddings and no text."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = [*special, *(f"\u2581{letter}" for letter in letters), *letters]
    normal = len(tokens) - len(special)
    writer = GGUFWriter(path, "bert")
    writer.add_name("Tiny Embedder")
    writer.add_context_length(context_length)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType.CLS)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * len(special) + [TokenType.NORMAL] * normal)
    writer.add_token_type_count(2)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    _add_embedder_tensors(writer, len(tokens), context_length)
    _write(writer)
    return path


def _add_embedder_tensors(writer: GGUFWriter, vocabulary: int, context_length: int) -> None:
    random = np.random.default_rng(4937)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.standard_normal(shape, dtype=np.float32) * 0.1)

    def add_with_bias(name: str, *shape: int) -> None:
        add(f"{name}.weight", *shape)
        add(f"{name}.bias", shape[0])

    add("token_embd.weight", vocabulary, 32)
    add("token_types.weight", 2, 32)
    add("position_embd.weight", context_length, 32)
    add_with_bias("token_embd_norm", 32)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"):
        shape = {"ffn_up": (64, 32), "ffn_down": (32, 64)}.get(part, (32, 32))
        add_with_bias(f"blk.0.{part}", *shape)
    add_with_bias("blk.0.attn_output_norm", 32)
    add_with_bias("blk.0.layer_output_norm", 32)


def _write(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: GGUFWriter) -> None:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    control = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([*control, *([TokenType.BYTE] * 256)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def _add_tensors(writer: GGUFWriter, width: int) -> None:
    random = np.random.default_rng(4937)

    def add(name: str, *shape: int) -> None:
        values = random.standard_normal(shape, dtype=np.float32) * 0.1
        writer.add_tensor(name, values if len(shape) > 1 else np.abs(values) + 1.0)

    add("token_embd.weight", 259, width)
    for layer in range(LAYERS):
        add(f"blk.{layer}.attn_norm.weight", width)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{part}.weight", width, width)
        add(f"blk.{layer}.ffn_norm.weight", width)
        add(f"blk.{layer}.ffn_gate.weight", 2 * width, width)
        add(f"blk.{layer}.ffn_up.weight", 2 * width, width)
        add(f"blk.{layer}.ffn_down.weight", width, 2 * width)
    add("output_norm.weight", width)
    add("output.weight", 259, width)
