"""What a measurement teaches about the estimate for an engine and an architecture."""

from __future__ import annotations

from hydra_box.types import (
    CPU,
    Accelerator,
    Correction,
    DeviceMemory,
    EngineName,
    MeasuredMemory,
    Placement,
)

LARGEST_FACTOR = 2.0
"""Beyond it something else is wrong, and a plan must not grow without bound."""
WEIGHT_OF_THE_PAST = 0.9
"""How much of an old excess remains when a newer measurement shows less."""


def correction_id(engine: EngineName, architecture: str, accelerator: Accelerator) -> str:
    """The name of a correction: ``vllm/Qwen2ForCausalLM/cuda``."""
    return f"{engine}/{architecture}/{accelerator}"


def observed_factor(placement: Placement, measured: tuple[MeasuredMemory, ...]) -> float | None:
    """Measured over predicted, of all that is not weights; None where it cannot be told.

    Weights are read from the files and exact, so that an error lies in cache, compute and
    overhead. Of several devices the worst counts. On the CPU, what an engine reports of itself
    counts before what was measured from outside: it knows pages that it has not touched yet.

    Args:
        placement: with its predicted memory, which contains an earlier correction.
        measured: what was measured of it.
    """
    predicted = {one.device: one for one in placement.memory}
    factors = [
        factor * placement.correction_factor
        for one in measured
        if (factor := _excess(predicted[one.device], one)) is not None
    ]
    return max(factors, default=None)


def _excess(predicted: DeviceMemory, measured: MeasuredMemory) -> float | None:
    """Measured over predicted on one device, weights left out; None if nothing was predicted."""
    if measured.device == CPU and measured.reported_bytes is not None:
        found = measured.reported_bytes - predicted.weights_bytes
        expected = predicted.kv_cache_bytes + predicted.compute_bytes
    else:
        found = measured.measured_bytes - predicted.weights_bytes
        expected = predicted.total_bytes - predicted.weights_bytes
    return found / expected if expected > 0 else None


def corrected(old: Correction | None, id: str, observed: float, *, now: float) -> Correction:
    """The correction after one more measurement.

    It only ever raises an estimate: an engine that took less once (pages that it had not touched
    yet) may take all of it later. A newer, smaller excess lets an old one fade.
    """
    seen = min(max(observed, 1.0), LARGEST_FACTOR)
    if old is None:
        return Correction(id=id, factor=seen, samples=1, updated_at=now)
    faded = 1.0 + (old.factor - 1.0) * WEIGHT_OF_THE_PAST
    return Correction(id=id, factor=max(seen, faded), samples=old.samples + 1, updated_at=now)
