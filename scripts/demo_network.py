"""The demo model's network: a small Llama in torch, in the conventions of Hugging Face."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; every matrix row is a multiple of 32 values, as Q8_0 needs."""

    vocab: int = 1024
    width: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 512
    context: int = 2048
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-5

    @property
    def head_size(self) -> int:
        """Values per attention head."""
        return self.width // self.heads


def rope_tables(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary embedding, each (context, head_size)."""
    half = torch.arange(0, shape.head_size, 2, dtype=torch.float64) / shape.head_size
    angles = torch.outer(torch.arange(shape.context, dtype=torch.float64), shape.rope_base**-half)
    both = torch.cat((angles, angles), dim=-1)
    return both.cos().float(), both.sin().float()


def rotate(values: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (batch, heads, time, head_size) by position; halves are paired as in transformers."""
    low, high = values.chunk(2, dim=-1)
    return values * cos + torch.cat((-high, low), dim=-1) * sin


class RmsNorm(nn.Module):
    """Root-mean-square normalisation with a learned gain."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalise the last axis."""
        return functional.rms_norm(hidden, self.weight.shape, self.weight, self.epsilon)


class Block(nn.Module):
    """One layer: grouped-query attention and a SwiGLU feed-forward part."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        kv_width = shape.kv_heads * shape.head_size
        self.attn_norm = RmsNorm(shape.width, shape.norm_epsilon)
        self.attn_q = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_k = nn.Linear(shape.width, kv_width, bias=False)
        self.attn_v = nn.Linear(shape.width, kv_width, bias=False)
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = RmsNorm(shape.width, shape.norm_epsilon)
        self.ffn_gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.ffn_up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.ffn_down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def _heads(self, values: Tensor, count: int) -> Tensor:
        """(batch, time, count * head_size) to (batch, count, time, head_size)."""
        batch, time, _ = values.shape
        return values.view(batch, time, count, self.shape.head_size).transpose(1, 2)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Map (batch, time, width) to the same shape."""
        normed = self.attn_norm(hidden)
        query = rotate(self._heads(self.attn_q(normed), self.shape.heads), cos, sin)
        key = rotate(self._heads(self.attn_k(normed), self.shape.kv_heads), cos, sin)
        value = self._heads(self.attn_v(normed), self.shape.kv_heads)
        groups = self.shape.heads // self.shape.kv_heads
        mixed = functional.scaled_dot_product_attention(
            query.to(value.dtype),
            key.to(value.dtype).repeat_interleave(groups, dim=1),
            value.repeat_interleave(groups, dim=1),
            is_causal=True,
        )
        hidden = hidden + self.attn_output(mixed.transpose(1, 2).flatten(2))
        normed = self.ffn_norm(hidden)
        gated = functional.silu(self.ffn_gate(normed)) * self.ffn_up(normed)
        output: Tensor = hidden + self.ffn_down(gated)
        return output


class Network(nn.Module):
    """Token ids to the logits of the next token; the embedding is the output matrix too."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocab, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = RmsNorm(shape.width, shape.norm_epsilon)
        cos, sin = rope_tables(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Small normal weights; those that write to the residual stream smaller with depth."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                deep = name.endswith(("attn_output.weight", "ffn_down.weight"))
                scale = 0.04 / (2 * self.shape.layers) ** 0.5 if deep else 0.04
                nn.init.normal_(parameter, std=scale)

    def forward(self, ids: Tensor) -> Tensor:
        """Map (batch, time) ids to (batch, time, vocab) logits."""
        time = ids.shape[1]
        cos, sin = self.get_buffer("cos")[:time], self.get_buffer("sin")[:time]
        hidden: Tensor = self.token_embd(ids)
        for block in self.blk:
            hidden = block(hidden, cos, sin)
        return functional.linear(self.output_norm(hidden), self.token_embd.weight)
