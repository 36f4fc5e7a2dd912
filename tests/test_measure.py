"""What instances hold, of real processes and of machines as NVML tells of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from hydra_box.engines.base import MemoryReport
from hydra_box.measure import Holding, claims, holding, measured
from hydra_box.types import (
    Accelerator,
    DeviceMemory,
    EngineName,
    EngineOptions,
    GpuProcess,
    Instance,
    InstanceState,
    Machine,
    Placement,
)
from tests.machines import GIB, MIB, one_rtx_4090

NOBODY = 2**22 + 1
"""Above the kernel's largest pid."""


@pytest.fixture
def hungry() -> Iterator[int]:
    """A process whose child holds 64 MiB."""
    child = "held = bytes(range(256)) * (64 * 4096); print('ready', flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen(
        (sys.executable, "-c", parent), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.communicate(b"\n")


def instance(
    device: str, *, pid: int | None, state: InstanceState = InstanceState.READY
) -> Instance:
    memory = DeviceMemory(
        device=device,
        weights_bytes=4 * GIB,
        kv_cache_bytes=GIB,
        compute_bytes=GIB // 2,
        overhead_bytes=GIB // 2,
    )
    return Instance(
        id="demo-00000001",
        service_id="svc-1",
        state=state,
        device=device,
        created_at=0.0,
        pid=pid,
        placement=Placement(
            engine=EngineName.LLAMA_CPP,
            accelerator=Accelerator.CPU if device == "cpu" else Accelerator.CUDA,
            devices=(device,),
            options=EngineOptions(context_length=512, slots=1, batch_tokens=512),
            memory=(memory,),
        ),
    )


def held_by(pid: int, used_bytes: int | None) -> Machine:
    """A machine on whose GPU a process holds memory."""
    machine = one_rtx_4090()
    processes = (GpuProcess(pid=pid, used_bytes=used_bytes),)
    gpu = msgspec.structs.replace(machine.gpus[0], processes=processes)
    return msgspec.structs.replace(machine, gpus=(gpu,))


def test_the_memory_of_descendants_counts(hungry: int) -> None:
    holds = holding(hungry)
    assert hungry in holds.pids
    assert len(holds.pids) == 2
    assert holds.private_bytes > 64 * MIB
    assert holds.resident_bytes > holds.private_bytes


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert holding(NOBODY) == Holding(pids=frozenset(), resident_bytes=0, private_bytes=0)


def test_a_claim_is_what_was_granted_beside_what_is_held(hungry: int) -> None:
    (claim,) = claims([instance("cpu", pid=hungry)], one_rtx_4090())
    assert (claim.device, claim.granted_bytes, claim.service_id) == ("cpu", 6 * GIB, "svc-1")
    assert 64 * MIB < claim.used_bytes < GIB


def test_an_instance_without_a_process_claims_all_and_holds_nothing() -> None:
    (claim,) = claims([instance("cpu", pid=None)], one_rtx_4090())
    assert (claim.granted_bytes, claim.used_bytes) == (6 * GIB, 0)


def test_an_instance_without_a_placement_claims_nothing() -> None:
    unplaced = msgspec.structs.replace(instance("cpu", pid=None), placement=None)
    assert claims([unplaced], one_rtx_4090()) == ()


def test_on_a_gpu_the_driver_tells() -> None:
    machine = held_by(os.getpid(), 5 * GIB)
    (claim,) = claims([instance(machine.gpus[0].uuid, pid=os.getpid())], machine)
    assert claim.used_bytes == 5 * GIB


@pytest.mark.parametrize(
    ("state", "used_bytes"), [(InstanceState.READY, 6 * GIB), (InstanceState.STARTING, 0)]
)
def test_where_the_driver_hides_processes_the_state_tells(
    state: InstanceState, used_bytes: int
) -> None:
    machine = held_by(os.getpid(), None)
    (claim,) = claims([instance(machine.gpus[0].uuid, pid=os.getpid(), state=state)], machine)
    assert claim.used_bytes == used_bytes


def test_asleep_it_has_no_right_to_what_it_gave_back() -> None:
    for tells, left in ((GIB, GIB), (None, 0)):
        machine = held_by(os.getpid(), tells)
        uuid = machine.gpus[0].uuid
        asleep = instance(uuid, pid=os.getpid(), state=InstanceState.ASLEEP)
        (claim,) = claims([asleep], machine)
        assert (claim.granted_bytes, claim.used_bytes) == (0, left)
    # The RAM it keeps, and its weights wait there.
    (claim,) = claims([instance("cpu", pid=None, state=InstanceState.ASLEEP)], machine)
    assert claim.granted_bytes == 6 * GIB


def test_predicted_stands_beside_measured() -> None:
    holds = Holding(pids=frozenset({7}), resident_bytes=5 * GIB, private_bytes=GIB)
    report = MemoryReport(total_bytes=123, twice_bytes=GIB)
    (found,) = measured(instance("cpu", pid=7), holds, one_rtx_4090(), report)
    assert (found.predicted_bytes, found.reported_bytes) == (6 * GIB, 123)
    # The pages of weights that it holds in another order too are the kernel's to take back.
    assert found.measured_bytes == 4 * GIB


def test_what_the_driver_does_not_tell_is_not_measured() -> None:
    machine = held_by(7, None)
    holds = Holding(pids=frozenset({7}), resident_bytes=5 * GIB, private_bytes=GIB)
    assert measured(instance(machine.gpus[0].uuid, pid=7), holds, machine, None) == ()
