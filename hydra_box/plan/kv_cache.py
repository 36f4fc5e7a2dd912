"""The KV cache in bytes: what each engine keeps of the tokens it has seen, layer by layer.

llama.cpp gives every slot a stream of its own (``kv_unified`` is false where ``--parallel`` is
given), padded to 256 cells. A sliding layer needs its window and one micro-batch, padded to 256
too. Source: ``llama-context.cpp``, ``llama-kv-cache.cpp``, ``llama-kv-cache-iswa.cpp`` and
``llama-memory-recurrent.cpp`` of llama.cpp b11549.

vLLM keeps blocks, and gives every sequence those that it needs. Source:
``vllm/v1/kv_cache_interface.py`` and ``vllm/v1/core/kv_cache_utils.py`` of vLLM 0.32.
"""

from __future__ import annotations

from hydra_box.errors import InvalidRequest
from hydra_box.types import CacheKind, EngineName, EngineOptions, LayerCache, ModelFacts

CELL_PADDING_TOKENS = 256
"""``GGML_PAD(n_ctx_seq, 256)``, and the same for the sliding cache."""

BLOCK_TOKENS = 128
"""vLLM's block on the CPU; on a GPU it is 16, which 128 covers."""

BATCHES_IN_FLIGHT = 2
"""vLLM schedules the next step while one runs, and frees nothing of either until it is done."""

STATE_COPIES = 2
"""Of a recurrent state in vLLM, where it caches prefixes (``mamba_cache_mode`` is ``align``)."""

LLAMA_CPP_BLOCKS: dict[str, tuple[int, int]] = {
    "f32": (4, 1),
    "f16": (2, 1),
    "bf16": (2, 1),
    "q8_0": (34, 32),
    "q5_1": (24, 32),
    "q5_0": (22, 32),
    "q4_1": (20, 32),
    "q4_0": (18, 32),
    "iq4_nl": (18, 32),
}
"""``--cache-type-k``: bytes of a block, elements of a block (``ggml-common.h``)."""


def padded(count: int, step: int) -> int:
    """``count`` rounded up to a multiple of ``step``."""
    return -(-count // step) * step


def kv_cache_bytes(facts: ModelFacts, engine: EngineName, options: EngineOptions) -> int:
    """Bytes of the whole KV cache at these options, over all devices of one instance.

    For vLLM: what has to be granted so that every slot can hold its context, over all ranks;
    ``options.kv_cache_bytes`` is not looked at.

    Raises:
        InvalidRequest: there is no such KV cache type.
    """
    if engine is EngineName.LLAMA_CPP:
        return sum(llama_cpp_layer_bytes(layer, options) for layer in facts.layers)
    return vllm_rank_bytes(facts, options) * options.tensor_parallel


def kv_bytes_per_token(facts: ModelFacts, engine: EngineName, options: EngineOptions) -> float:
    """Bytes that one more token of context costs in one slot, in all layers together.

    Layers with a window or a fixed state cost nothing more; 0 for a model without any other. For
    vLLM: over all ranks.
    """
    growing = [one for one in facts.layers if one.kind in (CacheKind.FULL, CacheKind.LATENT)]
    if engine is EngineName.LLAMA_CPP:
        size, block = _block(options.kv_cache_type)
        return sum(one.kv_heads * kept(one) for one in growing) * size / block
    ranks, element = options.tensor_parallel, _vllm_element_bytes(facts, options)
    return sum(_heads_on_rank(one, ranks) * kept(one) for one in growing) * element * ranks


def kept(layer: LayerCache) -> int:
    """Elements that one head keeps of a token; a latent's key holds its value already."""
    return layer.key_length + (0 if layer.kind is CacheKind.LATENT else layer.value_length)


def cells_per_slot(layer: LayerCache, options: EngineOptions) -> int:
    """Cells, each for one token, that llama.cpp keeps in one layer for one slot."""
    whole = padded(options.context_length, CELL_PADDING_TOKENS)
    if layer.kind is not CacheKind.SLIDING or layer.window_tokens is None:
        return whole
    micro_batch = min(options.batch_tokens, whole * options.slots)
    return padded(min(whole, layer.window_tokens + micro_batch), CELL_PADDING_TOKENS)


def row_bytes(elements: int, kind: str) -> int:
    """Bytes of a row of ``elements`` in llama.cpp's cache type ``kind``.

    Raises:
        InvalidRequest: there is no such type.
    """
    size, block = _block(kind)
    return -(-elements // block) * size


def llama_cpp_layer_bytes(layer: LayerCache, options: EngineOptions) -> int:
    """Bytes of one layer's cache in llama.cpp, over all slots."""
    row = row_bytes(layer.kv_heads * layer.key_length, options.kv_cache_type)
    if layer.kind is not CacheKind.LATENT:
        row += row_bytes(layer.kv_heads * layer.value_length, options.kv_cache_type)
    cells = cells_per_slot(layer, options) if layer.kv_heads else 0
    return (row * cells + layer.state_bytes) * options.slots


def vllm_rank_bytes(facts: ModelFacts, options: EngineOptions) -> int:
    """Least bytes of vLLM's KV cache on one tensor parallel rank, for all slots to be full."""
    return sum(_vllm_layer_bytes(facts, layer, options) for layer in facts.layers)


def _vllm_layer_bytes(facts: ModelFacts, layer: LayerCache, options: EngineOptions) -> int:
    ranks = options.tensor_parallel
    state = -(-layer.state_bytes // ranks) * STATE_COPIES
    token = _heads_on_rank(layer, ranks) * kept(layer) * _vllm_element_bytes(facts, options)
    if not token:
        return state * options.slots
    tokens = options.context_length
    if layer.kind is CacheKind.SLIDING and layer.window_tokens is not None:
        in_flight = BATCHES_IN_FLIGHT * options.batch_tokens
        tokens = min(tokens, layer.window_tokens - 1 + in_flight) + BLOCK_TOKENS
    cells = padded(tokens, BLOCK_TOKENS) * options.slots + BLOCK_TOKENS  # One block is a null.
    # Beside recurrent layers, a block of attention is as large as a state.
    page = max((-(-one.state_bytes // ranks) for one in facts.layers), default=0)
    return int(cells * token) + (state + page) * options.slots


def _heads_on_rank(layer: LayerCache, ranks: int) -> int:
    """Heads are divided among the ranks, and copied where they are fewer; a latent is copied."""
    if layer.kind is CacheKind.LATENT:
        return layer.kv_heads
    return -(-layer.kv_heads // ranks)


def _vllm_element_bytes(facts: ModelFacts, options: EngineOptions) -> float:
    return 1.0 if options.kv_cache_type.startswith("fp8") else facts.dtype_bytes


def _block(kind: str) -> tuple[int, int]:
    if kind not in LLAMA_CPP_BLOCKS:
        raise InvalidRequest(
            f"there is no KV cache type {kind!r}",
            hint=f"KV cache types: {', '.join(LLAMA_CPP_BLOCKS)}",
        )
    return LLAMA_CPP_BLOCKS[kind]
