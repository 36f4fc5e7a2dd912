"""When an instance holds too much, and when that is too much for the machine."""

from __future__ import annotations

import msgspec
import pytest

from hydra_box.plan.growth import Held, describe, outgrown, threatens
from hydra_box.types import CPU
from tests.machines import GIB, MIB, cpu_only, one_rtx_4090


def held(now_mib: int, *, granted_mib: int = 4096, at_ready_mib: int = 4000) -> Held:
    return Held(
        device=CPU,
        granted_bytes=granted_mib * MIB,
        at_ready_bytes=at_ready_mib * MIB,
        now_bytes=now_mib * MIB,
    )


@pytest.mark.parametrize(
    ("found", "was", "is_outgrown"),
    [
        pytest.param(held(4096), False, False, id="what it was granted"),
        pytest.param(held(5120), False, False, id="a quarter more"),
        pytest.param(held(5121), False, True, id="over a quarter more"),
        pytest.param(held(4700), True, True, id="half of that is still there"),
        pytest.param(held(4608), True, False, id="half of that is gone"),
        pytest.param(held(600, granted_mib=100, at_ready_mib=90), False, False, id="small"),
        pytest.param(held(613, granted_mib=100, at_ready_mib=90), False, True, id="512 MiB more"),
        pytest.param(held(9000, at_ready_mib=8000), False, False, id="it was larger when ready"),
    ],
)
def test_what_is_outgrown(found: Held, *, was: bool, is_outgrown: bool) -> None:
    assert outgrown(found, 25, was=was) is is_outgrown


def test_what_threatens_a_machine() -> None:
    machine = msgspec.structs.replace(cpu_only(), ram_available_bytes=GIB)
    assert threatens(CPU, machine, GIB + 1)
    assert not threatens(CPU, machine, GIB)
    gpu = one_rtx_4090().gpus[0]
    assert not threatens(gpu.uuid, one_rtx_4090(), 0)
    crowded = msgspec.structs.replace(gpu, free_bytes=100 * MIB)
    assert threatens(gpu.uuid, msgspec.structs.replace(one_rtx_4090(), gpus=(crowded,)), 0)
    assert not threatens("GPU-gone", one_rtx_4090(), 0)


def test_it_is_told_in_figures() -> None:
    assert describe(held(6000)) == "holds 6,000 MiB of memory, and its budget is 4,096 MiB"
