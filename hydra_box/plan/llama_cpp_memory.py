"""The memory of a llama.cpp instance: weights, KV cache, compute buffers, overhead, by device.

Sources, where no other is named: ``llama-model.cpp``, ``llama-context.cpp`` and
``ggml-backend.cpp`` of llama.cpp b11549.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

from hydra_box.plan import llama_cpp_compute as compute
from hydra_box.plan.kv_cache import llama_cpp_layer_bytes
from hydra_box.types import DeviceMemory, EngineOptions, LayerCache, ModelFacts

MIB = 1 << 20
CPU = -1
"""The CPU's place among the positions of GPUs."""

PIPELINE_COPIES = 4
"""``GGML_SCHED_MAX_COPIES``: of a step's inputs, when several GPUs hold the whole model."""

CUDA_CONTEXT_BYTES = 555 * MIB
"""What a CUDA context takes of a GPU: 107 MiB (RTX 4060 Ti) to 555 MiB (RTX PRO 6000), by the
number of its processors; the most, because a plan must hold. Source: llama.cpp PR 23604."""

CUBLAS_WORKSPACE_BYTES = 32 * MIB
"""cuBLAS: 32 MiB from Hopper on, 4 MiB before (cuBLAS manual, ``cublasSetWorkspace``)."""

PROCESS_BYTES = 64 * MIB
"""The server's own heap and libraries; 34 to 45 MiB measured for the bundled one."""

CUDA_PROCESS_BYTES = 512 * MIB
"""The same with CUDA's libraries and its pinned staging buffers."""

TOKEN_BYTES = 600
"""A token of the vocabulary: its text, its place in the maps, its merge; 430 to 560 measured."""

REPACKED_BITS = 5
"""llama.cpp repacks matrices of about four bits for the CPU (``repack.cpp``)."""


class Share(NamedTuple):
    """What one device holds of the model."""

    name: str
    position: int
    blocks: tuple[int, ...]
    """Indices of its blocks."""
    has_output: bool


def layer_devices(layers: int, gpus: int, options: EngineOptions) -> tuple[int, ...]:
    """For each block, and at last the output, the position of its GPU, or -1 for the CPU.

    The last ``gpu_layers`` go to the GPUs, of which the output is one, divided by ``split``.
    Source: ``llama_model_base::load_tensors``.
    """
    on_gpu = min(options.gpu_layers, layers + 1) if gpus else 0
    start = layers + 1 - on_gpu
    shares = options.split or (1.0,) * gpus
    bounds = [one / sum(shares) for one in accumulate(shares)]
    return tuple(
        CPU if one < start else min(bisect_right(bounds, (one - start) / on_gpu), gpus - 1)
        for one in range(layers + 1)
    )


def estimate(
    facts: ModelFacts, gpus: tuple[str, ...], options: EngineOptions
) -> tuple[DeviceMemory, ...]:
    """What each GPU needs, then the CPU."""
    where = layer_devices(len(facts.layers), len(gpus), options)
    shares = [
        Share(
            name,
            position,
            tuple(index for index, one in enumerate(where[:-1]) if one == position),
            where[-1] == position,
        )
        for position, name in [*enumerate(gpus), (CPU, "cpu")]
    ]
    in_ram = shares[-1]
    on_gpus = (_on_gpu(facts, options, one, in_ram, len(gpus)) for one in shares[:-1])
    return (*on_gpus, _on_cpu(facts, options, in_ram, len(gpus)))


def _on_gpu(
    facts: ModelFacts, options: EngineOptions, share: Share, in_ram: Share, gpus: int
) -> DeviceMemory:
    weights = sum(facts.layer_weight_bytes[index] for index in share.blocks)
    if share.has_output:
        weights += facts.output_weight_bytes + facts.projector_bytes
        weights += facts.input_weight_bytes if facts.tied_embeddings else 0
    return DeviceMemory(
        device=share.name,
        weights_bytes=weights,
        kv_cache_bytes=_cache(facts, options, share),
        compute_bytes=_gpu_compute(facts, options, share, in_ram, gpus),
        overhead_bytes=CUDA_CONTEXT_BYTES + CUBLAS_WORKSPACE_BYTES + _pool(facts, options, share),
    )


def _on_cpu(facts: ModelFacts, options: EngineOptions, share: Share, gpus: int) -> DeviceMemory:
    weights = sum(facts.layer_weight_bytes[index] for index in share.blocks)
    weights += facts.input_weight_bytes + facts.other_weight_bytes
    if share.has_output:
        weights += facts.output_weight_bytes + facts.projector_bytes + _repacked_output(facts)
    process = CUDA_PROCESS_BYTES if gpus else PROCESS_BYTES
    if facts.has_pooling:
        # A batch of inputs to embed makes room for the logits of each of its tokens.
        process += _outputs(facts, compute.step_tokens(options))
    return DeviceMemory(
        device=share.name,
        weights_bytes=weights,
        kv_cache_bytes=_cache(facts, options, share),
        compute_bytes=_cpu_compute(facts, options, share, gpus) + _outputs(facts, options.slots),
        overhead_bytes=process + TOKEN_BYTES * facts.vocabulary_size,
    )


def _cache(facts: ModelFacts, options: EngineOptions, share: Share) -> int:
    """The cache of a block is where the block is (``--kv-offload``, the default)."""
    return sum(llama_cpp_layer_bytes(facts.layers[index], options) for index in share.blocks)


def _layers(facts: ModelFacts, share: Share) -> tuple[LayerCache, ...]:
    return tuple(facts.layers[index] for index in share.blocks)


def _repacked_output(facts: ModelFacts) -> int:
    """A tied embedding of four bits: repacked as the output, and kept as it is for look-ups."""
    elements = facts.vocabulary_size * facts.embedding_length
    few_bits = facts.input_weight_bytes * 8 < REPACKED_BITS * elements
    return facts.input_weight_bytes if facts.tied_embeddings and few_bits else 0


def _outputs(facts: ModelFacts, tokens: int) -> int:
    """Logits and embedding of so many tokens, in RAM (``output_reserve``)."""
    return 4 * tokens * (facts.vocabulary_size + facts.embedding_length)


def _cpu_compute(facts: ModelFacts, options: EngineOptions, share: Share, gpus: int) -> int:
    inputs = compute.mask_bytes(facts, options, facts.layers)
    residual = compute.residual_bytes(facts, options)
    if gpus:
        # The inputs are made here; of blocks in RAM, what the first GPU does not take over.
        copies = 1 if gpus == 1 or share.blocks else PIPELINE_COPIES
        block = compute.block_bytes(facts, options, _layers(facts, share))
        return copies * (inputs + residual) + residual + block + compute.SLACK_BYTES
    block = inputs + compute.block_bytes(facts, options, facts.layers)
    logits = compute.output_bytes(facts, options)
    return max(block, logits + min(inputs, logits)) + compute.SLACK_BYTES


def _gpu_compute(
    facts: ModelFacts, options: EngineOptions, share: Share, in_ram: Share, gpus: int
) -> int:
    """Blocks in RAM are computed on the first GPU, with their weights and cache copied there.

    That room is for the largest block as long as any is in RAM: so one block more on the GPU
    never needs less of it, until the last one frees what was copied.
    """
    hosts = share.position == 0 and bool(in_ram.blocks)
    layers = facts.layers if hosts else _layers(facts, share)
    copies = 1 if gpus == 1 or in_ram.blocks else PIPELINE_COPIES
    attends = any(one.kv_heads for one in facts.layers)
    rows = compute.INPUT_ROWS if attends else compute.RECURRENT_INPUT_ROWS
    masks = compute.mask_bytes(facts, options, layers)
    inputs = masks + (rows if gpus > 1 else 1) * compute.residual_bytes(facts, options)
    inputs *= copies
    attention = compute.widened_cache_bytes(facts, options, layers)
    attention += compute.score_bytes(facts, options, layers)
    weights = 0
    if hosts:
        attention += compute.copied_cache_bytes(options, layers)
        weights = round(max(facts.layer_weight_bytes) * compute.LARGEST_TENSOR_SHARE)
    most = inputs + compute.block_bytes(facts, options, layers) + max(attention, weights)
    if share.has_output:
        logits = compute.output_bytes(facts, options)
        most = max(most, logits + (inputs if copies > 1 else min(inputs, logits)))
    return most + compute.SLACK_BYTES


def _pool(facts: ModelFacts, options: EngineOptions, share: Share) -> int:
    """What CUDA's products take beside the buffers: their inputs in another type.

    Quantised weights: the activations in eight bits; others: activations and product in float16.
    Source: ``ggml_cuda_op_mul_mat_cublas`` and ``ggml_cuda_mul_mat_q``.
    """
    width = max(
        facts.feed_forward_length,
        facts.heads * facts.head_length,
        facts.experts_used * max(facts.expert_feed_forward_length, facts.embedding_length),
    )
    row = 2 * (width + facts.embedding_length)
    elements = facts.vocabulary_size * facts.embedding_length
    if share.has_output and facts.input_weight_bytes >= 2 * elements:
        row = max(row, 2 * (facts.vocabulary_size + facts.embedding_length))
    return row * compute.step_tokens(options)
