"""llama.cpp's compute buffers: what one step over a full micro-batch keeps at once.

llama.cpp reserves its worst graph when it starts (``llama_context::sched_reserve``): a micro-batch
of ``--ubatch-size`` tokens over the whole cache, with an output for every token, because every
instance is started with ``--embeddings``. ggml gives tensors that are not alive together the same
bytes, so that the worst of a few moments decides: a block's mixer or feed-forward, or the output.

Which tensors are alive then was found by measuring llama.cpp b11549 on the shapes of
``docs/memory.md``, on the CPU, and on one to three devices that only take sizes. Activations are
float32, masks float16. Where the allocator reuses the bytes of a dead tensor only at some sizes,
the sum is taken, so that more context never needs less.
"""

from __future__ import annotations

from hydra_box.plan.kv_cache import (
    CELL_PADDING_TOKENS,
    cells_per_slot,
    kept,
    padded,
    row_bytes,
)
from hydra_box.types import CacheKind, EngineOptions, LayerCache, ModelFacts

FLOAT, HALF = 4, 2
"""Bytes of an activation, and of an element of a mask."""

RESIDUAL_ROWS = 5
"""The residual stream, its copies before and after a norm, and what lies between them unused."""

RECURRENT_ROWS = 13
"""Projections, convolution and scan of a state layer, in widths of the residual stream."""

RECURRENT_STATES = 3
"""The states of all slots: gathered, computed, and copied back."""

RECURRENT_INPUT_ROWS, INPUT_ROWS = 7, 3
"""What the blocks of one device hand to those of the next, in widths of the residual stream."""

LARGEST_TENSOR_SHARE = 0.45
"""Of a block's weights, the largest matrix: a third of three alike, more where it has more bits."""

SCORE_COPIES = 5
"""The mask as float32, once for each of what is made of it, in heads."""

LATENT_COPIES = 1.25
"""A latent visits a GPU as key and as value, and leaves holes between them."""

SLACK_BYTES = 1 << 20
"""Small inputs, and the alignment of every tensor."""

UNGATED = frozenset({"bert"})
"""Architectures whose feed-forward has no gate; what others lack is left as room."""

FLASH_HEAD_LENGTHS = frozenset({40, 64, 72, 80, 96, 112, 128, 256})
"""Keys that CUDA's flash attention knows, with values as long (``fattn.cu``)."""

FLASH_HEAD_PAIRS = frozenset({(192, 128), (320, 256), (512, 512), (576, 512)})
"""Keys and values that it knows where query heads share them."""


def step_tokens(options: EngineOptions) -> int:
    """Tokens of the largest step: a micro-batch, or the whole cache if that is less.

    llama.cpp rounds it up to a multiple of the slots; the most that this can add is added.
    """
    whole = padded(options.context_length, CELL_PADDING_TOKENS) * options.slots
    return min(options.batch_tokens, whole) + options.slots - 1


def residual_bytes(facts: ModelFacts, options: EngineOptions) -> int:
    """One residual stream of the step."""
    return FLOAT * step_tokens(options) * facts.embedding_length


def is_encoder(facts: ModelFacts) -> bool:
    """It sees all tokens at once, and keeps nothing of them."""
    return all(one.kind is CacheKind.NONE for one in facts.layers)


def mask_bytes(facts: ModelFacts, options: EngineOptions, layers: tuple[LayerCache, ...]) -> int:
    """The attention masks of these blocks: one for full attention, one for sliding.

    An encoder's is over the tokens of the step itself.
    """
    if is_encoder(facts):
        return HALF * step_tokens(options) ** 2
    cells = {
        one.kind is CacheKind.SLIDING: cells_per_slot(one, options)
        for one in layers
        if one.kv_heads
    }
    return HALF * step_tokens(options) * sum(cells.values())


def block_bytes(facts: ModelFacts, options: EngineOptions, layers: tuple[LayerCache, ...]) -> int:
    """The most that any of these blocks keeps at once, without masks."""
    kinds = set(layers)
    if not kinds:
        return 0
    rows = max(_feed_forward_row(facts), *(_mixer_row(facts, one) for one in kinds))
    rows += RESIDUAL_ROWS * facts.embedding_length
    states = max(one.state_bytes for one in kinds) * options.slots * RECURRENT_STATES
    return FLOAT * step_tokens(options) * rows + states


def output_bytes(facts: ModelFacts, options: EngineOptions) -> int:
    """The logits of every token of the step; 0 for an encoder, which makes no text."""
    if is_encoder(facts):
        return 0
    row = facts.vocabulary_size + RESIDUAL_ROWS * facts.embedding_length
    return FLOAT * step_tokens(options) * row


def copied_cache_bytes(options: EngineOptions, layers: tuple[LayerCache, ...]) -> int:
    """What a GPU takes over of the cache of blocks that are in RAM, for a step on many tokens.

    The keys and values of a block over all slots, and the next block's keys already.
    """
    rows = (
        row_bytes(
            one.kv_heads
            * (one.key_length + one.value_length + max(one.key_length, one.value_length)),
            options.kv_cache_type,
        )
        * cells_per_slot(one, options)
        * (LATENT_COPIES if one.kind is CacheKind.LATENT else 1)
        for one in set(layers)
    )
    return round(max(rows, default=0) * options.slots)


def widened_cache_bytes(
    facts: ModelFacts, options: EngineOptions, layers: tuple[LayerCache, ...]
) -> int:
    """A block's keys and values as float16, which CUDA's flash attention makes of quantised ones.

    Source: ``ggml_cuda_flash_attn_ext_get_alloc_size``.
    """
    if options.kv_cache_type in ("f16", "bf16"):
        return 0
    sizes = (
        HALF * cells_per_slot(one, options) * options.slots * one.kv_heads * kept(one)
        + FLOAT * step_tokens(options) * facts.heads * one.value_length
        for one in set(layers)
        if one.kv_heads
    )
    return max(sizes, default=0)


def score_bytes(facts: ModelFacts, options: EngineOptions, layers: tuple[LayerCache, ...]) -> int:
    """Attention without flash attention on a GPU: every head's score of every cell, float32.

    0 where CUDA's flash attention knows the lengths of the heads; with the mask as float32.
    """
    tokens = step_tokens(options)
    sizes = (
        FLOAT * tokens * cells_per_slot(one, options) * (facts.heads + SCORE_COPIES)
        for one in set(layers)
        if one.kv_heads and not _flash_attention(facts, one)
    )
    return max(sizes, default=0)


def _flash_attention(facts: ModelFacts, layer: LayerCache) -> bool:
    if layer.key_length in FLASH_HEAD_LENGTHS and layer.value_length == layer.key_length:
        return True
    shared = facts.heads > layer.kv_heads
    return shared and (layer.key_length, layer.value_length) in FLASH_HEAD_PAIRS


def _feed_forward_row(facts: ModelFacts) -> int:
    """Gate, up and their product; of experts all that are used, and what they put out.

    What the experts put out takes the place of gate and up if it is not larger.
    """
    dense = (1 if facts.architecture in UNGATED else 3) * facts.feed_forward_length
    inner = facts.experts_used * facts.expert_feed_forward_length
    outer = facts.experts_used * facts.embedding_length
    return max(dense, 3 * inner, min(3 * inner + outer, 5 * outer // 2))


def _mixer_row(facts: ModelFacts, layer: LayerCache) -> int:
    """What attention or a state layer keeps of one token."""
    if layer.kind is CacheKind.LATENT:
        # The query as projected, its part with positions, the query as absorbed into the
        # latent, and the latent that comes out.
        return facts.heads * (facts.head_length + 2 * layer.key_length)
    row = 3 * facts.heads * facts.head_length
    row += layer.kv_heads * (layer.key_length + layer.value_length)
    return max(row, RECURRENT_ROWS * facts.embedding_length if layer.state_bytes else 0)
