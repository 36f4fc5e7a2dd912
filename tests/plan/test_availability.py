"""How many bytes of each device a new instance may be granted."""

from __future__ import annotations

import msgspec
import pytest

from hydra_box.plan.availability import (
    available_bytes,
    gpu_reserve,
    ram_reserve,
    without_service,
)
from hydra_box.types import Claim
from tests import machines
from tests.machines import GIB, MIB

GPU = machines.one_rtx_4090().gpus[0]
FREE = GPU.free_bytes - gpu_reserve(GPU.total_bytes)


def test_what_others_hold_is_not_available() -> None:
    machine = machines.two_rtx_3090_one_half_occupied()
    first, second = (available_bytes(machine, ())[one.uuid] for one in machine.gpus)
    assert first - second == 12_288 * MIB


@pytest.mark.parametrize(
    ("granted_gib", "used_gib", "left_bytes"),
    [
        (0, 0, FREE),
        (10, 0, FREE - 10 * GIB),  # granted, still loading
        (10, 10, FREE - 10 * GIB),  # taken: no longer free
        (10, 12, FREE - 12 * GIB),  # took more than it was granted
        (100, 0, 0),
    ],
)
def test_what_ours_were_granted_counts_once(
    granted_gib: int, used_gib: int, left_bytes: int
) -> None:
    used = used_gib * GIB
    gpu = msgspec.structs.replace(GPU, free_bytes=GPU.free_bytes - used)
    machine = msgspec.structs.replace(machines.one_rtx_4090(), gpus=(gpu,))
    claim = Claim(device=GPU.uuid, granted_bytes=granted_gib * GIB, used_bytes=used)
    assert available_bytes(machine, (claim,))[GPU.uuid] == left_bytes


def test_figures_that_were_read_apart_do_not_make_room() -> None:
    claim = Claim(device=GPU.uuid, granted_bytes=GIB, used_bytes=20 * GIB)
    room = available_bytes(machines.one_rtx_4090(), (claim,))[GPU.uuid]
    assert room == GPU.total_bytes - 20 * GIB - gpu_reserve(GPU.total_bytes)


def test_a_claim_on_a_gpu_that_is_gone_does_not_matter() -> None:
    claim = Claim(device="GPU-gone", granted_bytes=GIB, used_bytes=GIB)
    machine = machines.one_rtx_4090()
    assert available_bytes(machine, (claim,)) == available_bytes(machine, ())


@pytest.mark.parametrize("granted_gib", [3, 10])
@pytest.mark.parametrize("shares_ram", [False, True])
def test_a_service_that_is_thought_away_leaves_what_it_held(
    granted_gib: int, shares_ram: bool
) -> None:
    used = 5 * GIB
    gpu = msgspec.structs.replace(GPU, shares_ram=shares_ram)
    without = msgspec.structs.replace(machines.one_rtx_4090(), gpus=(gpu,))
    ram = without.ram_available_bytes - GIB - (used if shares_ram else 0)
    held = msgspec.structs.replace(gpu, free_bytes=gpu.free_bytes - used)
    machine = msgspec.structs.replace(without, gpus=(held,), ram_available_bytes=ram)

    def claim(device: str, used_bytes: int, service_id: str) -> Claim:
        granted = granted_gib * GIB
        return Claim(
            device=device, granted_bytes=granted, used_bytes=used_bytes, service_id=service_id
        )

    other = claim("cpu", 0, "svc-other")
    ours = (claim(gpu.uuid, used, "svc-a"), claim("cpu", GIB, "svc-a"))
    freed, left = without_service(machine, (*ours, other), "svc-a")
    assert left == (other,)
    assert available_bytes(freed, left) == available_bytes(without, (other,))
    assert without_service(machine, (*ours, other), "svc-none") == (machine, (*ours, other))


@pytest.mark.parametrize(
    ("total_gib", "reserve_bytes"),
    [(4, 256 * MIB), (16, GIB), (64, 4 * GIB), (128, 8 * GIB), (2048, 8 * GIB)],
)
def test_the_reserve_of_the_ram(total_gib: int, reserve_bytes: int) -> None:
    assert ram_reserve(total_gib * GIB) == reserve_bytes


@pytest.mark.parametrize(("total_mib", "reserve_mib"), [(6144, 256), (12_800, 256), (51_200, 1024)])
def test_the_reserve_of_a_gpu(total_mib: int, reserve_mib: int) -> None:
    assert gpu_reserve(total_mib * MIB) == reserve_mib * MIB


def test_a_memory_that_gpu_and_cpu_share_is_divided() -> None:
    ram = machines.machine(ram_gib=128, free_ram_gib=118, cores=20)
    gpu = msgspec.structs.replace(
        GPU,
        name="NVIDIA GB10",
        shares_ram=True,
        total_bytes=ram.ram_total_bytes,
        free_bytes=ram.ram_available_bytes,
    )
    machine = msgspec.structs.replace(ram, gpus=(gpu,))
    room = available_bytes(machine, ())
    assert room == {gpu.uuid: 102 * GIB, "cpu": 8 * GIB}
    # 40 GiB that an instance holds are gone from both figures of the machine.
    claim = Claim(device=gpu.uuid, granted_bytes=40 * GIB, used_bytes=40 * GIB)
    less = ram.ram_available_bytes - 40 * GIB
    held = msgspec.structs.replace(
        machine,
        ram_available_bytes=less,
        gpus=(msgspec.structs.replace(gpu, free_bytes=less),),
    )
    assert available_bytes(held, (claim,)) == {gpu.uuid: 62 * GIB, "cpu": 8 * GIB}
    # While it loads it holds nothing, and the memory is promised all the same.
    promised = msgspec.structs.replace(claim, used_bytes=0)
    assert available_bytes(machine, (promised,)) == {gpu.uuid: 62 * GIB, "cpu": 8 * GIB}
