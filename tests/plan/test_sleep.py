"""Sleep: who falls asleep and when, how, and what waking needs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.sleep import (
    cannot_wake,
    has_room,
    may_sleep,
    seconds_to_sleep,
    sleeps_in_place,
    why_not_in_ram,
)
from hydra_box.plan.ways import way_of
from hydra_box.types import (
    CPU,
    Accelerator,
    DesiredState,
    DeviceMemory,
    EngineName,
    EngineOptions,
    Instance,
    InstanceState,
    Placement,
)
from tests.machines import one_rtx_4090
from tests.samples import a_service, an_instance

D, S = DesiredState, InstanceState

GIB = 1 << 30
DROWSY = a_service(idle_timeout_seconds=60.0)


def _instances(*states: InstanceState, **changes: object) -> list[Instance]:
    return [an_instance(f"i-{n}", state=state, **changes) for n, state in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "idle", "seconds"),
    [
        ((S.READY,), 0.0, 60.0),
        ((S.READY,), 59.5, 0.5),
        ((S.READY,), 60.0, 0.0),
        ((S.READY,), 1e9, 0.0),
        ((S.READY, S.READY), 20.0, 40.0),
        # What does not serve, and will not soon, does not keep the rest awake.
        ((S.READY, S.BACKOFF, S.FAILED, S.STOPPED), 60.0, 0.0),
        # While a request is under way it may end at once.
        ((S.READY,), None, 60.0),
        # Nothing to put to sleep, or something comes or goes.
        ((), 1e9, None),
        ((S.FAILED,), 1e9, None),
        ((S.BACKOFF,), 1e9, None),
        ((S.ASLEEP,), 1e9, None),
        ((S.READY, S.STARTING), 1e9, None),
        ((S.READY, S.PENDING), 1e9, None),
        ((S.READY, S.DRAINING), 1e9, None),
        ((S.READY, S.STOPPING), 1e9, None),
        ((S.READY, S.ASLEEP), 1e9, None),
    ],
)
def test_when_a_service_falls_asleep(
    states: tuple[InstanceState, ...], idle: float | None, seconds: float | None
) -> None:
    assert seconds_to_sleep(DROWSY, _instances(*states), idle) == seconds


@pytest.mark.parametrize(
    ("service", "may"),
    [
        (DROWSY, True),
        (a_service(), False),
        (a_service(idle_timeout_seconds=60.0, desired_state=D.STOPPED), False),
        (a_service(idle_timeout_seconds=60.0, desired_state=D.DELETED), False),
    ],
)
def test_who_may_sleep_at_all(service: object, may: bool) -> None:
    assert isinstance(service, type(DROWSY))
    assert may_sleep(service) is may
    assert (seconds_to_sleep(service, _instances(S.READY), 1e9) == 0) is may


@given(
    timeout=st.floats(0.1, 1e6),
    idle=st.floats(0, 1e6),
    states=st.lists(st.sampled_from(S), max_size=4),
)
def test_asked_again_when_it_said_so_it_sleeps(
    timeout: float, idle: float, states: list[InstanceState]
) -> None:
    service = a_service(idle_timeout_seconds=timeout)
    instances = _instances(*states)
    left = seconds_to_sleep(service, instances, idle)
    if left is None:
        assert seconds_to_sleep(service, instances, 1e12) is None
    else:
        assert left <= timeout
        assert seconds_to_sleep(service, instances, idle + left) == pytest.approx(0, abs=1e-6)


def _placement(*devices: str, weights: int = 10 * GIB) -> Placement:
    on_gpu = DeviceMemory(
        device="GPU",
        weights_bytes=weights,
        kv_cache_bytes=3 * GIB,
        compute_bytes=GIB,
        overhead_bytes=GIB,
    )
    host = DeviceMemory(
        device=CPU, weights_bytes=0, kv_cache_bytes=0, compute_bytes=0, overhead_bytes=2 * GIB
    )
    return Placement(
        engine=EngineName.VLLM,
        accelerator=Accelerator.CUDA,
        devices=devices,
        options=EngineOptions(context_length=512, slots=1, batch_tokens=512),
        memory=(*(msgspec.structs.replace(on_gpu, device=one) for one in devices), host),
    )


@pytest.mark.parametrize(
    ("engine", "may_sleep", "changes", "in_place"),
    [
        (EngineName.VLLM, True, {}, True),
        (EngineName.LLAMA_CPP, True, {}, False),
        # It was started before its service had an idle timeout, so that its process cannot.
        (EngineName.VLLM, False, {}, False),
        (EngineName.VLLM, True, {"way": None}, False),
        (EngineName.VLLM, True, {"device": CPU}, False),
        (EngineName.VLLM, True, {"placement": None}, False),
    ],
)
def test_which_processes_can_sleep(
    engine: EngineName, may_sleep: bool, changes: dict[str, Any], in_place: bool
) -> None:
    placed = {"device": "GPU-1", "placement": _placement("GPU-1")} | changes
    way = way_of(a_service(engine=engine))
    instance = an_instance("a", state=S.READY, may_sleep=may_sleep, **({"way": way} | placed))
    found = sleeps_in_place([instance], {EngineName.VLLM})
    assert found == (frozenset({"a"}) if in_place else frozenset())


def test_weights_sleep_in_the_ram_if_they_fit_there() -> None:
    box = one_rtx_4090()
    uuid = box.gpus[0].uuid
    placement = _placement(uuid)
    assert why_not_in_ram(placement, box, {CPU: 10 * GIB}) is None
    assert "10,737,418,240 bytes" in (why_not_in_ram(placement, box, {CPU: 10 * GIB - 1}) or "")
    two = _placement(uuid, "GPU-2")
    assert why_not_in_ram(two, box, {CPU: 19 * GIB}) is not None


def test_where_gpu_and_cpu_share_their_memory_nothing_would_be_gained() -> None:
    box = one_rtx_4090()
    shared = msgspec.structs.replace(box.gpus[0], shares_ram=True)
    box = msgspec.structs.replace(box, gpus=(shared,))
    why = why_not_in_ram(_placement(box.gpus[0].uuid), box, {CPU: 100 * GIB})
    assert why == "its GPU has no memory of its own"


def test_waking_needs_what_was_given_back_on_every_gpu() -> None:
    placement = _placement("GPU-1", "GPU-2")
    # Weights, KV cache and compute; what the process itself takes it has kept.
    assert has_room(placement, {"GPU-1": 14 * GIB, "GPU-2": 14 * GIB, CPU: 0})
    assert not has_room(placement, {"GPU-1": 14 * GIB, "GPU-2": 14 * GIB - 1, CPU: 0})
    assert not has_room(placement, {"GPU-1": 14 * GIB, CPU: 0})


WITHOUT_ROOM = an_instance("r", state=S.BACKOFF, reason="needs 3 GiB")
CRASHED = an_instance("c", state=S.BACKOFF, runtime_id="llama.cpp/x", boots_without_ready=1)


@pytest.mark.parametrize(
    ("instances", "cannot"),
    [
        ([], False),
        ([WITHOUT_ROOM], True),
        ([WITHOUT_ROOM, an_instance("f", state=S.FAILED)], True),
        # One that crashed is started again soon, and who waits may get that.
        ([CRASHED], False),
        ([WITHOUT_ROOM, CRASHED], False),
        ([WITHOUT_ROOM, an_instance("s", state=S.STARTING)], False),
        ([WITHOUT_ROOM, an_instance("s", state=S.STOPPING)], False),
    ],
)
def test_a_waking_that_finds_no_room(instances: list[Instance], cannot: bool) -> None:
    assert cannot_wake(instances) is cannot
