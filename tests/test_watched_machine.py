"""A real daemon on a machine whose GPUs change: what its client sees live, and what it says."""

from __future__ import annotations

from pathlib import Path

from hydra_box.types import GpuCondition
from tests.boxes import RunningBox
from tests.fakes.nvml_machine import FakeNvml
from tests.machines import GIB, two_rtx_3090_one_half_occupied
from tests.waiting import eventually


def test_gpu_that_is_lost_is_seen_live_and_needs_attention(home: Path, tmp_path: Path) -> None:
    nvml = FakeNvml(tmp_path, two_rtx_3090_one_half_occupied())
    there = nvml.machine
    first, second = there.gpus
    box = RunningBox(home, nvml.environ)
    try:
        live = box.client.machine_live()
        assert next(live).gpus == there.gpus
        nvml.hold(first.uuid, (5_000_001, GIB))
        assert box.client.machine().gpus[0].free_bytes == first.free_bytes - GIB
        nvml.become(there)
        nvml.lose(second.uuid)
        seen = next(one for one in live if one.lost_gpus)
        assert seen.gpu_condition is GpuCondition.GPU_LOST
        assert [gpu.uuid for gpu in seen.gpus] == [first.uuid]
        assert seen.cpu_percent is not None

        def is_told() -> bool:
            attention = box.client.status().attention
            return any(
                "GPU 1 (NVIDIA GeForce RTX 3090) has fallen" in one.message for one in attention
            )

        eventually(is_told, what="the status tells it")
        nvml.become(there)
        assert next(one for one in live if not one.lost_gpus).gpus == there.gpus
        live.close()  # type: ignore[attr-defined]
    finally:
        assert box.stop() == 0
