"""What a measurement teaches."""

from __future__ import annotations

import msgspec
import pytest

from hydra_box.plan.correction import corrected, correction_id, observed_factor
from hydra_box.types import (
    Accelerator,
    DeviceMemory,
    EngineName,
    EngineOptions,
    MeasuredMemory,
    Placement,
)

GPUS = ("GPU-a", "GPU-b")


def placement(*, factor: float = 1.0, devices: tuple[str, ...] = GPUS[:1]) -> Placement:
    """1,000 bytes of weights and 1,000 of all else on each device."""
    return Placement(
        engine=EngineName.VLLM,
        accelerator=Accelerator.CUDA,
        devices=devices,
        options=EngineOptions(context_length=512, slots=1, batch_tokens=512),
        memory=tuple(
            DeviceMemory(
                device=one,
                weights_bytes=1000,
                kv_cache_bytes=600,
                compute_bytes=300,
                overhead_bytes=100,
            )
            for one in devices
        ),
        architecture="qwen2",
        correction_factor=factor,
    )


def measured(*bytes_: int) -> tuple[MeasuredMemory, ...]:
    return tuple(
        MeasuredMemory(device=device, predicted_bytes=2000, measured_bytes=one)
        for device, one in zip(GPUS, bytes_, strict=False)
    )


def test_weights_are_exact_so_that_the_rest_was_wrong() -> None:
    assert observed_factor(placement(), measured(2100)) == pytest.approx(1.1)


def test_a_factor_that_the_prediction_contains_is_taken_out() -> None:
    assert observed_factor(placement(factor=1.25), measured(2000)) == pytest.approx(1.25)


def test_of_several_devices_the_worst_counts() -> None:
    assert observed_factor(placement(devices=GPUS), measured(1900, 2200)) == pytest.approx(1.2)


def test_on_the_cpu_what_the_engine_reports_of_itself_counts_first() -> None:
    report = MeasuredMemory(
        device="cpu", predicted_bytes=2000, measured_bytes=9000, reported_bytes=1990
    )
    on_cpu = placement(devices=("cpu",))
    assert observed_factor(on_cpu, (report,)) == pytest.approx(1.1)
    # Of a GPU the driver knows more: the engine does not tell what CUDA takes.
    on_gpu = msgspec.structs.replace(report, device=GPUS[0], measured_bytes=2100)
    assert observed_factor(placement(), (on_gpu,)) == pytest.approx(1.1)


def test_nothing_measured_teaches_nothing() -> None:
    assert observed_factor(placement(), ()) is None


def test_a_correction_only_raises_an_estimate() -> None:
    assert corrected(None, "id", 0.4, now=1.0).factor == 1.0


def test_a_correction_has_an_end() -> None:
    assert corrected(None, "id", 40.0, now=1.0).factor == 2.0


def test_a_larger_excess_counts_at_once_and_a_smaller_one_lets_it_fade() -> None:
    first = corrected(None, "id", 1.2, now=1.0)
    second = corrected(first, "id", 1.5, now=2.0)
    third = corrected(second, "id", 1.0, now=3.0)
    assert (second.factor, second.samples, second.updated_at) == (1.5, 2, 2.0)
    assert third.factor == pytest.approx(1.45)


def test_its_name_says_what_it_is_of() -> None:
    name = correction_id(EngineName.VLLM, "Qwen2ForCausalLM", Accelerator.CUDA)
    assert name == "vllm/Qwen2ForCausalLM/cuda"
