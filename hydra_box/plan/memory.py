"""How much memory one instance needs, on each device, before anything is started."""

from __future__ import annotations

from hydra_box.plan import llama_cpp_memory, vllm_memory
from hydra_box.plan.kv_cache import kv_bytes_per_token, kv_cache_bytes
from hydra_box.types import Accelerator, DeviceMemory, EngineName, EngineOptions, ModelFacts

__all__ = ["estimate", "kv_bytes_per_token", "kv_cache_bytes"]


def estimate(
    facts: ModelFacts,
    engine: EngineName,
    accelerator: Accelerator,
    devices: tuple[str, ...],
    options: EngineOptions,
    *,
    correction: float = 1.0,
) -> tuple[DeviceMemory, ...]:
    """Bytes that one instance takes, on each GPU of ``devices`` and in RAM.

    Args:
        facts: the model's.
        engine: the engine that will run it.
        accelerator: what the engine's runtime computes on.
        devices: UUIDs in the order of ranks or splits, or ``("cpu",)``.
        options: how the instance is set up.
        correction: multiplies everything but the weights.

    Returns:
        One entry for each GPU in ``devices``, in that order, then one with device ``cpu``.
    """
    gpus = () if accelerator is Accelerator.CPU else devices
    if engine is EngineName.LLAMA_CPP:
        parts = llama_cpp_memory.estimate(facts, gpus, options)
    else:
        parts = vllm_memory.estimate(facts, gpus, options)
    return tuple(_corrected(one, correction) for one in parts)


def _corrected(memory: DeviceMemory, factor: float) -> DeviceMemory:
    return DeviceMemory(
        device=memory.device,
        weights_bytes=memory.weights_bytes,
        kv_cache_bytes=round(memory.kv_cache_bytes * factor),
        compute_bytes=round(memory.compute_bytes * factor),
        overhead_bytes=round(memory.overhead_bytes * factor),
    )
