"""Errors that a GPU's driver reports: the real pynvml, over a fake NVML that has events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hydra_box.types import GpuCondition
from tests.fakes.nvml_machine import text_of
from tests.fakes.nvml_prober import Prober
from tests.machines import two_rtx_3090_one_half_occupied

THERE = two_rtx_3090_one_half_occupied()
FIRST, SECOND = THERE.gpus


@pytest.fixture
def prober(tmp_path: Path) -> Iterator[Prober]:
    """A process that has looked twice, and so listens."""
    with closing(Prober(tmp_path)) as process:
        for _ in range(2):
            assert process.look(THERE).gpu_faults == ()
        yield process


def test_what_is_reported_is_told_once_with_its_gpu_and_in_words(prober: Prober) -> None:
    prober.nvml.report(SECOND.uuid, 79)
    prober.nvml.report(FIRST.uuid, 31)
    dead, wrong = prober.ask_look().gpu_faults
    assert (dead.uuid, dead.xid, dead.of_a_program) == (SECOND.uuid, 79, False)
    assert dead.message == (
        "GPU 1 (NVIDIA GeForce RTX 3090) reports Xid 79: it has fallen off the bus; "
        "hint: restart the machine, and see to its power and its seat in the slot"
    )
    assert (wrong.uuid, wrong.xid, wrong.of_a_program) == (FIRST.uuid, 31, True)
    assert prober.ask_look().gpu_faults == ()


def test_one_that_nobody_knows_has_its_number(prober: Prober) -> None:
    prober.nvml.report(FIRST.uuid, 999)
    (fault,) = prober.ask_look().gpu_faults
    assert fault.message.startswith("GPU 0 (NVIDIA GeForce RTX 3090) reports Xid 999: NVIDIA's")
    assert not fault.of_a_program


def test_the_reason_of_a_loss_is_told_with_the_loss_and_listened_to_again_after_it(
    prober: Prober,
) -> None:
    prober.nvml.report(SECOND.uuid, 79)
    prober.nvml.lose(SECOND.uuid)
    seen = prober.ask_look()
    assert seen.gpu_condition is GpuCondition.GPU_LOST
    assert [one.xid for one in seen.gpu_faults] == [79]
    for _ in range(2):
        assert prober.look(THERE).gpu_faults == ()
    prober.nvml.report(SECOND.uuid, 48)
    assert [one.xid for one in prober.ask_look().gpu_faults] == [48]


def test_many_at_once_are_told_look_by_look(prober: Prober) -> None:
    for _ in range(40):
        prober.nvml.report(FIRST.uuid, 13)
    assert [len(prober.ask_look().gpu_faults) for _ in range(3)] == [32, 8, 0]


def test_a_driver_without_events_is_looked_at_as_ever(tmp_path: Path) -> None:
    with closing(Prober(tmp_path)) as prober:
        for _ in range(3):
            prober.nvml.report(FIRST.uuid, 79)
            prober.nvml.write(f"no_events\n{text_of(THERE)}")
            seen = prober.ask_look()
            assert seen.gpus == THERE.gpus
            assert seen.gpu_faults == ()


def test_a_single_look_listens_to_nothing(tmp_path: Path) -> None:
    with closing(Prober(tmp_path)) as prober:
        prober.nvml.report(FIRST.uuid, 79)
        assert prober.snapshot(THERE).gpu_faults == ()
