"""The tensors that llama.cpp looks for in a model, by architecture: names and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hydra_box.models.shapes import Shape

QK_NORMS = ("qwen3", "qwen3moe", "gemma3", "qwen3next", "qwen35")
GATED_QUERY = ("qwen3next", "qwen35")
POST_NORMS = ("gemma3",)
SSM = ("mamba", "falcon-h1")
ENCODER_TOKENS = 8192
"""Positions that an encoder has learnt."""


@dataclass(frozen=True)
class Tensor:
    """One tensor: ``shape`` as GGUF has it, the row length first."""

    name: str
    shape: tuple[int, ...]
    kind: str | None = None
    """A ``GGMLQuantizationType``; None: the model's."""

    def of(self, kind: str) -> Tensor:
        """The same, of a type."""
        return replace(self, kind=kind)


def is_recurrent(shape: Shape, layer: int) -> bool:
    """Whether a layer keeps a recurrent state instead of keys and values."""
    every = shape.full_attention_every
    return bool(shape.recurrent_conv_length and every and (layer + 1) % every)


def global_tensors(shape: Shape) -> Iterator[Tensor]:
    """Those of no block."""
    if not shape.causal:
        yield from _encoder_inputs(shape)
        return
    yield Tensor("token_embd.weight", (shape.embedding_length, shape.vocabulary_size))
    yield _vector("output_norm.weight", shape.embedding_length)
    if not shape.tied_embeddings:
        yield Tensor("output.weight", (shape.embedding_length, shape.vocabulary_size))


def block_tensors(shape: Shape, layer: int) -> Iterator[Tensor]:
    """Those of one block."""
    for tensor in _parts(shape, layer) if shape.causal else _encoder(shape):
        yield replace(tensor, name=f"blk.{layer}.{tensor.name}")


def _parts(shape: Shape, layer: int) -> Iterator[Tensor]:
    width, architecture = shape.embedding_length, shape.gguf_architecture
    yield _vector("attn_norm.weight", width)
    if architecture in SSM:
        yield from _ssm(shape)
    if is_recurrent(shape, layer):
        yield from _delta_net(shape)
    elif shape.kv_lora_rank:
        yield from _latent_attention(shape)
    elif shape.heads:
        yield from _attention(shape)
    if architecture == "mamba":
        return
    if architecture in ("gpt-oss", *GATED_QUERY):
        yield _vector("post_attention_norm.weight", width)
    elif architecture == "falcon-h1":
        yield _vector("ffn_norm", width)
    else:
        yield _vector("ffn_norm.weight", width)
    if architecture in POST_NORMS:
        yield _vector("post_attention_norm.weight", width)
        yield _vector("post_ffw_norm.weight", width)
    if shape.experts and layer >= shape.dense_layers:
        yield from _experts(shape)
    else:
        yield from _dense(shape)


def _encoder_inputs(shape: Shape) -> Iterator[Tensor]:
    width = shape.embedding_length
    yield Tensor("token_embd.weight", (width, shape.vocabulary_size))
    yield Tensor("token_types.weight", (width, 2), "F32")
    yield Tensor("position_embd.weight", (width, ENCODER_TOKENS), "F32")
    yield _vector("token_embd_norm.weight", width)
    yield _vector("token_embd_norm.bias", width)


def _encoder(shape: Shape) -> Iterator[Tensor]:
    width, inner = shape.embedding_length, shape.feed_forward_length
    matrices = {
        "attn_q": (width, width),
        "attn_k": (width, width),
        "attn_v": (width, width),
        "attn_output": (width, width),
        "ffn_up": (width, inner),
        "ffn_down": (inner, width),
    }
    for name, sizes in matrices.items():
        yield Tensor(f"{name}.weight", sizes)
        yield _vector(f"{name}.bias", sizes[1])
    for name in ("attn_output_norm", "layer_output_norm"):
        yield _vector(f"{name}.weight", width)
        yield _vector(f"{name}.bias", width)


def _vector(name: str, size: int) -> Tensor:
    return Tensor(name, (size,), "F32")


def _attention(shape: Shape) -> Iterator[Tensor]:
    width, architecture = shape.embedding_length, shape.gguf_architecture
    query = shape.heads * shape.head_length
    key = shape.kv_heads * shape.head_length
    value = shape.kv_heads * (shape.value_length or shape.head_length)
    gates = 2 if architecture in GATED_QUERY else 1
    if architecture == "phi3":
        yield Tensor("attn_qkv.weight", (width, query + key + value))
    else:
        yield Tensor("attn_q.weight", (width, query * gates))
        yield Tensor("attn_k.weight", (width, key))
        yield Tensor("attn_v.weight", (width, value))
    yield Tensor("attn_output.weight", (query, width))
    if architecture in ("qwen2", "gpt-oss"):
        yield _vector("attn_q.bias", query)
        yield _vector("attn_k.bias", key)
        yield _vector("attn_v.bias", value)
    if architecture in QK_NORMS:
        yield _vector("attn_q_norm.weight", shape.head_length)
        yield _vector("attn_k_norm.weight", shape.head_length)
    if architecture == "gpt-oss":
        yield _vector("attn_output.bias", width)
        yield _vector("attn_sinks.weight", shape.heads)


def _latent_attention(shape: Shape) -> Iterator[Tensor]:
    width, rank, rotary = shape.embedding_length, shape.kv_lora_rank, shape.rope_head_length
    key, value = shape.head_length, shape.value_length or shape.head_length
    query = shape.heads * (key + rotary)
    if shape.q_lora_rank:
        yield _vector("attn_q_a_norm.weight", shape.q_lora_rank)
        yield Tensor("attn_q_a.weight", (width, shape.q_lora_rank))
        yield Tensor("attn_q_b.weight", (shape.q_lora_rank, query))
    else:
        yield Tensor("attn_q.weight", (width, query))
    yield _vector("attn_kv_a_norm.weight", rank)
    yield Tensor("attn_kv_a_mqa.weight", (width, rank + rotary))
    yield Tensor("attn_k_b.weight", (key, rank, shape.heads))
    yield Tensor("attn_v_b.weight", (rank, value, shape.heads))
    yield Tensor("attn_output.weight", (shape.heads * value, width))


def _delta_net(shape: Shape) -> Iterator[Tensor]:
    width, heads = shape.embedding_length, shape.recurrent_value_heads
    key = shape.recurrent_key_heads * shape.recurrent_key_length
    value = heads * shape.recurrent_value_length
    yield Tensor("attn_qkv.weight", (width, 2 * key + value))
    yield Tensor("attn_gate.weight", (width, value))
    yield Tensor("ssm_conv1d.weight", (shape.recurrent_conv_length, 2 * key + value), "F32")
    yield _vector("ssm_dt.bias", heads)
    yield _vector("ssm_a", heads)
    if shape.gguf_architecture == "qwen3next":
        yield Tensor("ssm_ba.weight", (width, 2 * heads))
    else:
        yield Tensor("ssm_beta.weight", (width, heads))
        yield Tensor("ssm_alpha.weight", (width, heads))
    yield _vector("ssm_norm.weight", shape.recurrent_value_length)
    yield Tensor("ssm_out.weight", (value, width))


def _ssm(shape: Shape) -> Iterator[Tensor]:
    width, heads = shape.embedding_length, shape.recurrent_value_heads
    state, kernel = shape.recurrent_key_length, shape.recurrent_conv_length
    inner = heads * shape.recurrent_value_length
    if shape.gguf_architecture == "mamba":
        yield Tensor("ssm_in.weight", (width, 2 * inner))
        yield Tensor("ssm_conv1d.weight", (kernel, inner), "F32")
        yield _vector("ssm_conv1d.bias", inner)
        yield Tensor("ssm_x.weight", (inner, heads + 2 * state))
        yield Tensor("ssm_dt.weight", (heads, inner))
        yield _vector("ssm_dt.bias", inner)
        yield Tensor("ssm_a", (state, inner), "F32")
        yield _vector("ssm_d", inner)
    else:
        convolved = inner + 2 * shape.recurrent_key_heads * state
        yield Tensor("ssm_in.weight", (width, inner + convolved + heads))
        yield Tensor("ssm_conv1d.weight", (kernel, convolved), "F32")
        yield _vector("ssm_conv1d.bias", convolved)
        yield Tensor("ssm_norm.weight", (inner // shape.recurrent_key_heads, 1), "F32")
        yield _vector("ssm_dt.bias", heads)
        yield Tensor("ssm_a", (1, heads), "F32")
        yield Tensor("ssm_d", (1, heads), "F32")
    yield Tensor("ssm_out.weight", (inner, width))


def _dense(shape: Shape) -> Iterator[Tensor]:
    width, inner = shape.embedding_length, shape.feed_forward_length
    if shape.gguf_architecture == "phi3":
        yield Tensor("ffn_up.weight", (width, 2 * inner))
    else:
        yield Tensor("ffn_gate.weight", (width, inner))
        yield Tensor("ffn_up.weight", (width, inner))
    yield Tensor("ffn_down.weight", (inner, width))


def _experts(shape: Shape) -> Iterator[Tensor]:
    width, inner, many = shape.embedding_length, shape.expert_feed_forward_length, shape.experts
    yield Tensor("ffn_gate_inp.weight", (width, many), "F32")
    yield Tensor("ffn_gate_exps.weight", (width, inner, many))
    yield Tensor("ffn_up_exps.weight", (width, inner, many))
    yield Tensor("ffn_down_exps.weight", (inner, width, many))
    if shape.gguf_architecture == "gpt-oss":
        yield _vector("ffn_gate_inp.bias", many)
        yield Tensor("ffn_gate_exps.bias", (inner, many), "F32")
        yield Tensor("ffn_up_exps.bias", (inner, many), "F32")
        yield Tensor("ffn_down_exps.bias", (width, many), "F32")
    shared = shape.shared_expert_feed_forward_length
    if shared:
        yield Tensor("ffn_gate_shexp.weight", (width, shared))
        yield Tensor("ffn_up_shexp.weight", (width, shared))
        yield Tensor("ffn_down_shexp.weight", (shared, width))
    if shape.gguf_architecture in GATED_QUERY:
        yield _vector("ffn_gate_inp_shexp.weight", width)
