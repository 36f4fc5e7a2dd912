"""The tensors that a shape has, named by what they do, with their sizes.

Sizes follow the architectures' papers and their ``transformers`` implementations. Biases and the
small norms inside attention are left out: together under 0.1 % of any model.
"""

from __future__ import annotations

from typing import NamedTuple

from hydra_box.models.shape import Shape

JOINT_ATTENTION = frozenset({"phi3", "chatglm"})
"""Architectures with one matrix for queries, keys and values."""


class Tensor(NamedTuple):
    """A matrix, or several of the same kind (``matrices``, one for each expert)."""

    role: str
    """GGUF's name for it, without block number and ``.weight``."""
    columns: int
    """Elements of one row, which quantisation cuts into blocks."""
    rows: int
    matrices: int = 1

    @property
    def elements(self) -> int:
        """Of all its matrices."""
        return self.columns * self.rows * self.matrices


def block_tensors(shape: Shape, layer: int) -> list[Tensor]:
    """The tensors of block ``layer``, counted from 0."""
    if is_recurrent(shape, layer):
        mixer = _delta_net(shape)
    elif shape.kv_lora_rank:
        mixer = _latent_attention(shape)
    else:
        mixer = _attention(shape, layer)
    norms = Tensor("norm", shape.embedding_length, 2)
    return [norms, *mixer, *_feed_forward(shape, layer)]


def input_tensors(shape: Shape) -> list[Tensor]:
    """The token embedding."""
    return [Tensor("token_embd", shape.embedding_length, shape.vocabulary_size)]


def output_tensors(shape: Shape) -> list[Tensor]:
    """The last norm, and the output matrix if it is not the token embedding."""
    norm = Tensor("norm", shape.embedding_length, 1)
    if shape.tied_embeddings or not shape.causal:
        return [norm]
    return [norm, Tensor("output", shape.embedding_length, shape.vocabulary_size)]


def is_full_attention(shape: Shape, layer: int) -> bool:
    """Whether block ``layer`` attends to the whole context."""
    if shape.full_attention_layers:
        return layer in shape.full_attention_layers
    if shape.full_attention_every is None:
        return shape.window_tokens is None and not shape.recurrent_conv_length
    return (layer + 1) % shape.full_attention_every == 0


def is_recurrent(shape: Shape, layer: int) -> bool:
    """Whether block ``layer`` keeps a state instead of keys and values."""
    return shape.recurrent_conv_length > 0 and not is_full_attention(shape, layer)


def is_sparse(shape: Shape, layer: int) -> bool:
    """Whether block ``layer`` is a mixture of experts."""
    first = shape.dense_layers
    return shape.experts > 0 and layer >= first and (layer - first + 1) % shape.expert_every == 0


def attention_lengths(shape: Shape, layer: int) -> tuple[int, int, int]:
    """KV heads, and the elements of one head's key and value, of block ``layer``."""
    full = is_full_attention(shape, layer)
    kv_heads = (full and shape.full_kv_heads) or shape.kv_heads
    key = (full and shape.full_head_length) or shape.head_length
    value = key if shape.value_length is None else shape.value_length
    return kv_heads, key, value


def _attention(shape: Shape, layer: int) -> list[Tensor]:
    width = shape.embedding_length
    kv_heads, key, value = attention_lengths(shape, layer)
    # Models with gated delta-net layers gate the output of their attention from the query's side.
    queries = shape.heads * key * (2 if shape.recurrent_conv_length else 1)
    tensors = [
        Tensor("attn_q", width, queries),
        Tensor("attn_k", width, kv_heads * key),
        Tensor("attn_v", width, kv_heads * value),
        Tensor("attn_output", shape.heads * value, width),
    ]
    if shape.gguf_architecture in JOINT_ATTENTION:
        tensors[:3] = [Tensor("attn_qkv", width, queries + kv_heads * (key + value))]
    elif layer >= shape.layers - shape.shared_cache_layers:
        del tensors[1:3]
    elif shape.value_is_key and is_full_attention(shape, layer):
        del tensors[2]
    return tensors


def _latent_attention(shape: Shape) -> list[Tensor]:
    """DeepSeek-V2 (arXiv 2405.04434), section 2.1: low-rank queries, keys and values."""
    width, rank = shape.embedding_length, shape.kv_lora_rank
    value = shape.head_length if shape.value_length is None else shape.value_length
    queries = shape.heads * (shape.head_length + shape.rope_head_length)
    if shape.q_lora_rank:
        query = [
            Tensor("attn_q_a", width, shape.q_lora_rank),
            Tensor("attn_q_b", shape.q_lora_rank, queries),
        ]
    else:
        query = [Tensor("attn_q", width, queries)]
    return [
        *query,
        Tensor("attn_kv_a_mqa", width, rank + shape.rope_head_length),
        Tensor("attn_k_b", shape.head_length, rank * shape.heads),
        Tensor("attn_v_b", rank, value * shape.heads),
        Tensor("attn_output", shape.heads * value, width),
    ]


def _delta_net(shape: Shape) -> list[Tensor]:
    """Gated delta net (Qwen3-Next): projections to q, k and v, to a gate, to beta and decay."""
    width = shape.embedding_length
    keys = shape.recurrent_key_heads * shape.recurrent_key_length
    values = shape.recurrent_value_heads * shape.recurrent_value_length
    return [
        Tensor("attn_qkv", width, 2 * keys + values),
        Tensor("attn_gate", width, values),
        Tensor("ssm_ba", width, 2 * shape.recurrent_value_heads),
        Tensor("ssm_conv1d", shape.recurrent_conv_length, 2 * keys + values),
        Tensor("ssm_out", values, width),
    ]


def _feed_forward(shape: Shape, layer: int) -> list[Tensor]:
    width = shape.embedding_length
    if not is_sparse(shape, layer):
        return _matrices(shape, "", shape.feed_forward_length, 1)
    return [
        Tensor("ffn_gate_inp", width, shape.experts),
        *_matrices(shape, "_exps", shape.expert_feed_forward_length, shape.experts),
        *_matrices(shape, "_shexp", shape.shared_expert_feed_forward_length, 1),
    ]


def _matrices(shape: Shape, suffix: str, length: int, count: int) -> list[Tensor]:
    if not length:
        return []
    width = shape.embedding_length
    up_and_down = [
        Tensor(f"ffn_up{suffix}", width, length, count),
        Tensor(f"ffn_down{suffix}", length, width, count),
    ]
    if shape.feed_forward_matrices == 3:
        return [Tensor(f"ffn_gate{suffix}", width, length, count), *up_and_down]
    return up_and_down
