"""The memory of a vLLM instance: weights, KV cache, activations, overhead, by device.

vLLM runs one step at ``--max-num-batched-tokens`` when it starts, and keeps what that took; the
KV cache gets exactly ``--kv-cache-memory-bytes``. Sources, where no other is named:
``gpu_worker.py``, ``gpu_model_runner.py`` and the layers of vLLM 0.32. Only its CPU build could
be measured (``docs/memory.md``); the numbers for GPUs are those that its users' logs show.
"""

from __future__ import annotations

from hydra_box.plan.kv_cache import vllm_rank_bytes
from hydra_box.types import CacheKind, DeviceMemory, EngineOptions, Modality, ModelFacts

MIB = 1 << 20
GIB = 1 << 30

CUDA_CONTEXT_BYTES = 555 * MIB
"""107 to 555 MiB, by the number of the GPU's processors. Source: llama.cpp PR 23604."""

WORKSPACE_BYTES = 384 * MIB
"""``non_torch_memory``, cuBLAS workspaces and the allocator's remainders: 0.16 to 0.39 GiB in
logs of vLLM issues 11251 and 14452."""

NCCL_BYTES = 512 * MIB
"""Buffers of NCCL's channels and of vLLM's own all-reduce, on each of several ranks."""

GRAPH_BASE_BYTES = 64 * MIB
GRAPH_LAYER_BYTES = 350 * 1024
"""A CUDA graph takes about 9 MiB at 28 layers: 86 of them 0.73 GiB (vLLM PR 39559)."""

LARGEST_GRAPH_TOKENS = 512
"""``max_cudagraph_capture_size``; else twice the slots."""

CPU_PROCESSES_BYTES = 2560 * MIB
"""Resident in its three processes on the CPU: 1.9 GiB measured beside a cache of 256 MiB and a
model of 5 MiB, and room for tokenizers and requests."""

CUDA_RANK_BYTES = 2 * GIB
"""Resident in RAM for each GPU's worker, with CUDA's libraries and its pinned buffers."""

RESIDUAL_ROWS = 4
"""The residual stream, its normed copy, what a block adds to it, and the step's output."""

LOGIT_BYTES = 24
"""Of one logit while sampling: bfloat16, float32, its sorted copy with 64-bit indices, and the
probabilities."""

ENCODER_TOKENS, ENCODER_ROWS = 16_384, 8
"""Vision: the largest image that is tried out at start, and what its encoder keeps of a token."""


def estimate(
    facts: ModelFacts, gpus: tuple[str, ...], options: EngineOptions
) -> tuple[DeviceMemory, ...]:
    """What each GPU needs, all alike, then the CPU."""
    ranks = max(len(gpus), 1)
    cache = options.kv_cache_bytes or vllm_rank_bytes(facts, options)
    weights = _rank_weights(facts, ranks)
    activations = _activations(facts, options, ranks)
    if not gpus:
        return (_memory("cpu", weights, cache, activations, CPU_PROCESSES_BYTES),)
    overhead = CUDA_CONTEXT_BYTES + WORKSPACE_BYTES + _graphs(facts, options)
    overhead += NCCL_BYTES if ranks > 1 else 0
    host = CPU_PROCESSES_BYTES + CUDA_RANK_BYTES * ranks
    return (
        *(_memory(one, weights, cache, activations, overhead) for one in gpus),
        _memory("cpu", 0, 0, 0, host),
    )


def _memory(device: str, weights: int, cache: int, activations: int, overhead: int) -> DeviceMemory:
    return DeviceMemory(
        device=device,
        weights_bytes=weights,
        kv_cache_bytes=cache,
        compute_bytes=activations,
        overhead_bytes=overhead,
    )


def _rank_weights(facts: ModelFacts, ranks: int) -> int:
    """Weights on one rank: matrices, embedding and output divided, the rest on every rank.

    Whole on every rank: norms, routers of experts, the down-projections of latent attention, a
    vision tower, and keys and values of heads that are fewer than ranks.
    """
    blocks = sum(facts.layer_weight_bytes) + facts.input_weight_bytes + facts.output_weight_bytes
    element = facts.weight_bytes / max(facts.parameters, 1)
    width = facts.embedding_length
    whole = 0
    for layer in facts.layers if ranks > 1 else ():
        whole += round(width * facts.dtype_bytes * (4 + facts.experts))
        if layer.kind is CacheKind.LATENT:
            whole += round(4 * layer.key_length * width * element)
        elif layer.kv_heads < ranks:
            heads = layer.kv_heads * (layer.key_length + layer.value_length)
            whole += round(heads * width * element)
    whole = min(whole, blocks)
    positions = round(facts.context_length * facts.head_length * facts.dtype_bytes)
    others = facts.other_weight_bytes + facts.projector_bytes
    return -(-(blocks - whole) // ranks) + whole + others + positions


def _activations(facts: ModelFacts, options: EngineOptions, ranks: int) -> int:
    """The peak of the widest moment of a block, and of sampling for every slot."""
    width = facts.embedding_length
    dense = 3 * facts.feed_forward_length // ranks
    inner = facts.expert_feed_forward_length // ranks
    experts = facts.experts_used * (max(2 * inner, width) + inner)
    attention = max((_attention_row(facts, ranks, index) for index in _kinds(facts)), default=0)
    row = RESIDUAL_ROWS * width + max(dense, experts, attention)
    step = round(options.batch_tokens * row * facts.dtype_bytes)
    sampling = options.slots * facts.vocabulary_size * LOGIT_BYTES
    encoder = 0
    if facts.modality is Modality.VISION:
        encoder = round(ENCODER_TOKENS * ENCODER_ROWS * width * facts.dtype_bytes)
    return max(step, sampling) + encoder


def _kinds(facts: ModelFacts) -> tuple[int, ...]:
    """One layer of each shape."""
    return tuple({layer: index for index, layer in enumerate(facts.layers)}.values())


def _attention_row(facts: ModelFacts, ranks: int, index: int) -> int:
    """Query, what attention puts out, keys and values; of a latent also its expanded heads."""
    layer = facts.layers[index]
    query = facts.heads * facts.head_length // ranks
    if layer.kind is CacheKind.LATENT:
        return 4 * query + layer.key_length
    heads = -(-layer.kv_heads // ranks)
    return 2 * query + heads * (layer.key_length + layer.value_length)


def _graphs(facts: ModelFacts, options: EngineOptions) -> int:
    """CUDA graphs: of 1, 2, 4 and every eighth number of tokens, in pieces and whole."""
    largest = min(2 * options.slots, LARGEST_GRAPH_TOKENS)
    graphs = 2 * (3 + -(-largest // 8))
    return GRAPH_BASE_BYTES + graphs * len(facts.layers) * GRAPH_LAYER_BYTES
