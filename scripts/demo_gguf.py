"""Writes and reads the demo model's GGUF file. Needs gguf and numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from demo_tokenizer import BOS, CHAT_TEMPLATE, IM_END, PAD, SPECIALS
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Hyper:
    """What the GGUF says of the network: counts, sizes in values, context in tokens."""

    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int
    context: int
    rope_base: float
    norm_epsilon: float

    @property
    def head_size(self) -> int:
        """Values per attention head."""
        return self.width // self.heads


@dataclass(frozen=True)
class Model:
    """A model as read from GGUF; the weights have Hugging Face's row order and float32 values."""

    hyper: Hyper
    weights: Weights
    tokens: tuple[str, ...]
    merges: tuple[str, ...]
    chat_template: str


def permute(matrix: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Reorder the rows of a query or key matrix (rows, columns) from transformers to llama.cpp.

    transformers rotates value i of a head with value i + half; llama.cpp's llama rotates
    neighbours, so the two halves of each head are interleaved.
    """
    rows, columns = matrix.shape
    halves = matrix.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))


def unpermute(matrix: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Undo ``permute``."""
    rows, columns = matrix.shape
    pairs = matrix.reshape(heads, rows // heads // 2, 2, columns)
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(rows, columns))


def _rope_heads(name: str, hyper: Hyper) -> int:
    """The number of rotated heads in the tensor ``name``, 0 if it is not rotated."""
    if name.endswith("attn_q.weight"):
        return hyper.heads
    return hyper.kv_heads if name.endswith("attn_k.weight") else 0


def _write_metadata(writer: gguf.GGUFWriter, hyper: Hyper, parameters: int) -> None:
    writer.add_name("Hydra Box Demo")
    writer.add_author("The Hydra Box authors")
    writer.add_version("1")
    writer.add_description("A small chat model that shows that Hydra Box works.")
    writer.add_license("apache-2.0")
    writer.add_license_link("https://www.apache.org/licenses/LICENSE-2.0")
    writer.add_languages(["en"])
    writer.add_tags(["text-generation", "demo"])
    writer.add_size_label(f"{parameters / 1e6:.1f}M")
    writer.add_context_length(hyper.context)
    writer.add_embedding_length(hyper.width)
    writer.add_block_count(hyper.layers)
    writer.add_feed_forward_length(hyper.feed_forward)
    writer.add_head_count(hyper.heads)
    writer.add_head_count_kv(hyper.kv_heads)
    writer.add_rope_dimension_count(hyper.head_size)
    writer.add_rope_freq_base(hyper.rope_base)
    writer.add_layer_norm_rms_eps(hyper.norm_epsilon)
    writer.add_vocab_size(hyper.vocab)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _write_tokenizer(writer: gguf.GGUFWriter, tokens: Sequence[str], merges: Sequence[str]) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(list(tokens))
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if token in SPECIALS else normal for token in tokens])
    writer.add_token_merges(list(merges))
    writer.add_bos_token_id(tokens.index(BOS))
    writer.add_eos_token_id(tokens.index(IM_END))
    writer.add_eot_token_id(tokens.index(IM_END))
    writer.add_pad_token_id(tokens.index(PAD))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def write(
    path: Path,
    hyper: Hyper,
    weights: Mapping[str, NDArray[np.float32]],
    tokens: Sequence[str],
    merges: Sequence[str],
) -> None:
    """Write the model: matrices as Q8_0, gains as F32. ``weights`` have transformers' row order."""
    writer = gguf.GGUFWriter(path, "llama")
    _write_metadata(writer, hyper, sum(values.size for values in weights.values()))
    _write_tokenizer(writer, tokens, merges)
    q8_0 = gguf.GGMLQuantizationType.Q8_0
    for name, values in weights.items():
        if values.ndim == 1:
            writer.add_tensor(name, values)
            continue
        heads = _rope_heads(name, hyper)
        ordered = permute(values, heads) if heads else values
        writer.add_tensor(name, gguf.quants.quantize(ordered, q8_0), raw_dtype=q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _field(reader: gguf.GGUFReader, key: str) -> Any:
    field = reader.get_field(key)
    if field is None:
        raise ValueError(f"the GGUF file has no field {key}")
    return field.contents()


def _read_hyper(reader: gguf.GGUFReader) -> Hyper:
    return Hyper(
        vocab=int(_field(reader, "llama.vocab_size")),
        width=int(_field(reader, "llama.embedding_length")),
        layers=int(_field(reader, "llama.block_count")),
        heads=int(_field(reader, "llama.attention.head_count")),
        kv_heads=int(_field(reader, "llama.attention.head_count_kv")),
        feed_forward=int(_field(reader, "llama.feed_forward_length")),
        context=int(_field(reader, "llama.context_length")),
        rope_base=float(_field(reader, "llama.rope.freq_base")),
        norm_epsilon=float(_field(reader, "llama.attention.layer_norm_rms_epsilon")),
    )


def read(path: Path) -> Model:
    """Read a model written by ``write``; matrices are dequantised and put back in order."""
    reader = gguf.GGUFReader(path)
    hyper = _read_hyper(reader)
    weights: Weights = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        heads = _rope_heads(tensor.name, hyper)
        weights[tensor.name] = unpermute(values, heads) if heads else values
    return Model(
        hyper=hyper,
        weights=weights,
        tokens=tuple(_field(reader, "tokenizer.ggml.tokens")),
        merges=tuple(_field(reader, "tokenizer.ggml.merges")),
        chat_template=str(_field(reader, "tokenizer.chat_template")),
    )
