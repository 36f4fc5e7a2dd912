"""GGUF models of any shape, to measure what an engine takes of the memory for them.

An engine allocates by the sizes of tensors and never by their values, so that the weights are
the hole of a sparse file: also a DeepSeek-R1 is written in milliseconds and takes no disk. The
tokens are dummies: llama.cpp serves such a file, and knows no text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter, PoolingType

from hydra_box.models.shapes import Shape
from tests.models.gguf_blocks import (
    ENCODER_TOKENS,
    Tensor,
    block_tensors,
    global_tensors,
    is_recurrent,
)

ALIGNMENT = 32


@dataclass(frozen=True)
class RandomModel:
    """A shape, and the type that its matrices have."""

    shape: Shape
    quantization: str = "F16"
    """A ``GGMLQuantizationType``: of every matrix."""
    embedding: str | None = None
    """That of the token embedding and the output; None: the same."""
    context_length: int = 131_072

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the file, with its type."""
        for tensor in global_tensors(self.shape):
            yield self._typed(tensor, self.embedding or self.quantization)
        for layer in range(self.shape.layers):
            for tensor in block_tensors(self.shape, layer):
                yield self._typed(tensor, self.quantization)

    def _typed(self, tensor: Tensor, kind: str) -> Tensor:
        if tensor.kind is not None:
            return tensor
        block = GGML_QUANT_SIZES[GGMLQuantizationType[kind]][0]
        # As llama-quantize does: what its blocks do not divide gets the next simple type.
        return tensor.of(kind if tensor.shape[0] % block == 0 else "Q8_0")


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes of a tensor's data."""
    assert tensor.kind is not None
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[tensor.kind]]
    assert tensor.shape[0] % block == 0, tensor
    return int(np.prod(tensor.shape, dtype=np.int64)) // block * size


def write_random_gguf(model: RandomModel, path: Path) -> Path:
    """Write ``model`` to ``path`` and return it."""
    assert model.shape.gguf_architecture is not None
    writer = GGUFWriter(path, model.shape.gguf_architecture)
    _add_metadata(writer, model)
    size = 0
    for tensor in model.tensors():
        assert tensor.kind is not None
        nbytes = tensor_bytes(tensor)
        kind = GGMLQuantizationType[tensor.kind]
        # The writer takes shapes as NumPy has them, the slowest dimension first.
        writer.add_tensor_info(
            tensor.name, tensor.shape[::-1], np.dtype(np.float32), nbytes, raw_dtype=kind
        )
        size += _aligned(nbytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        file.truncate(_aligned(path.stat().st_size) + size)
    return path


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _add_metadata(writer: GGUFWriter, model: RandomModel) -> None:
    shape = model.shape
    writer.add_name("Random")
    writer.add_context_length(model.context_length if shape.causal else ENCODER_TOKENS)
    writer.add_embedding_length(shape.embedding_length)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward_length)
    if shape.causal:
        writer.add_layer_norm_rms_eps(1e-5)
    else:
        writer.add_layer_norm_eps(1e-5)
        writer.add_causal_attention(False)
        writer.add_pooling_type(PoolingType.MEAN)
        writer.add_token_type_count(2)
    writer.add_vocab_size(shape.vocabulary_size)
    writer.add_tokenizer_model("none")
    if shape.heads:
        _add_attention(writer, shape)
    if shape.experts:
        writer.add_expert_count(shape.experts)
        writer.add_expert_used_count(shape.experts_used)
        writer.add_expert_feed_forward_length(shape.expert_feed_forward_length)
        writer.add_expert_shared_feed_forward_length(shape.shared_expert_feed_forward_length)
    if shape.recurrent_conv_length:
        _add_recurrent(writer, shape)


def _add_attention(writer: GGUFWriter, shape: Shape) -> None:
    writer.add_head_count(shape.heads)
    if shape.kv_lora_rank:
        _add_latent(writer, shape)
        return
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_length)
    writer.add_value_length(shape.value_length or shape.head_length)
    writer.add_rope_dimension_count(shape.head_length)
    if shape.window_tokens is not None:
        writer.add_sliding_window(shape.window_tokens)


def _add_latent(writer: GGUFWriter, shape: Shape) -> None:
    value_length = shape.value_length or shape.head_length
    writer.add_head_count_kv(1)
    writer.add_key_length(shape.kv_lora_rank + shape.rope_head_length)
    writer.add_value_length(shape.kv_lora_rank)
    writer.add_key_length_mla(shape.head_length + shape.rope_head_length)
    writer.add_value_length_mla(value_length)
    writer.add_rope_dimension_count(shape.rope_head_length)
    writer.add_kv_lora_rank(shape.kv_lora_rank)
    writer.add_q_lora_rank(shape.q_lora_rank)
    writer.add_leading_dense_block_count(shape.dense_layers)
    writer.add_expert_shared_count(
        shape.shared_expert_feed_forward_length // shape.expert_feed_forward_length
    )


def _add_recurrent(writer: GGUFWriter, shape: Shape) -> None:
    inner = shape.recurrent_value_heads * shape.recurrent_value_length
    writer.add_ssm_conv_kernel(shape.recurrent_conv_length)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(shape.recurrent_key_length)
    writer.add_ssm_time_step_rank(shape.recurrent_value_heads)
    writer.add_ssm_group_count(shape.recurrent_key_heads)
    if shape.gguf_architecture == "qwen35":
        writer.add_rope_dimension_sections([16, 24, 24, 0])
    if shape.full_attention_every is not None:
        assert is_recurrent(shape, 0)
        writer.add_full_attention_interval(shape.full_attention_every)
