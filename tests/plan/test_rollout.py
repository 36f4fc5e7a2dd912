"""When a rollout is over, when it goes back, and how it is told; who ends when is in reconcile."""

from __future__ import annotations

import msgspec
import pytest

from hydra_box.plan.lifecycle import STABLE_AFTER_SECONDS, after_death
from hydra_box.plan.rollout import (
    has_moved,
    is_moving,
    may_still_die,
    settled,
    told,
    why_back,
    why_unpin,
)
from hydra_box.plan.ways import outdated, way_of
from hydra_box.types import (
    Accelerator,
    DesiredState,
    EngineName,
    EngineOptions,
    Instance,
    InstanceState,
    MakesRoom,
    Placement,
    Service,
)
from tests.samples import a_runtime, a_service, an_instance

M, S = MakesRoom, InstanceState

BEFORE = a_service(context_length=512)
EDITED = a_service(context_length=1024, previous=way_of(BEFORE))
ON_CPU = Placement(
    engine=EngineName.LLAMA_CPP,
    accelerator=Accelerator.CPU,
    devices=("cpu",),
    options=EngineOptions(context_length=512, slots=1, batch_tokens=512),
    memory=(),
)
OLD, NEW = "llama.cpp/old", "llama.cpp/new"
PINNED = a_runtime(NEW, pinned=True, replaces=OLD)


def old(state: InstanceState = S.READY, **changes: object) -> Instance:
    return msgspec.structs.replace(an_instance("old", state=state, way=way_of(BEFORE)), **changes)


def new(state: InstanceState = S.READY, **changes: object) -> Instance:
    return msgspec.structs.replace(an_instance("new", state=state, way=way_of(EDITED)), **changes)


@pytest.mark.parametrize(
    ("instances", "reason"),
    [
        ([old(), new(S.STARTING)], None),
        # The first boot may have failed for a passing reason.
        ([old(), new(S.BACKOFF, boots_without_ready=1, reason="no memory")], None),
        ([old(), new(S.BACKOFF, boots_without_ready=2, reason="no memory")], "no memory"),
        ([old(), new(S.STARTING, boots_without_ready=2, reason="no memory")], "no memory"),
        ([new(S.FAILED, boots_without_ready=5, reason="no memory")], "no memory"),
        ([new(S.FAILED)], "its engine ended, and did not say why"),
        # It gets ready, and dies of what it is asked; once may be anything.
        ([new(S.BACKOFF, runtime_id="r", failures=1, reason="SIGKILL")], None),
        ([new(S.BACKOFF, runtime_id="r", failures=2, reason="SIGKILL")], "SIGKILL"),
        ([old(), new(S.STARTING, runtime_id="r", failures=2, reason="SIGKILL")], "SIGKILL"),
        ([new(runtime_id="r", failures=2)], None),
        # It got ready in the end; it waits for room; it is one of those before.
        ([old(), new(boots_without_ready=2)], None),
        ([old(), new(S.BACKOFF, failures=9, reason="needs 3 GiB")], None),
        ([old(S.BACKOFF, boots_without_ready=2, reason="no memory"), new(S.STARTING)], None),
        ([an_instance("pending")], None),
    ],
)
def test_an_edit_goes_back_when_what_is_new_does_not_serve(
    instances: list[Instance], reason: str | None
) -> None:
    assert why_back(EDITED, instances, outdated(EDITED, instances)) == reason
    stopped = msgspec.structs.replace(EDITED, desired_state=DesiredState.STOPPED)
    for other in (stopped, msgspec.structs.replace(EDITED, previous=None)):
        assert why_back(other, instances, outdated(other, instances)) is None


def test_two_deaths_in_a_row_are_one_too_many_wherever_they_were() -> None:
    booting = new(S.STARTING, runtime_id="r")
    once = after_death(booting, now=100.0, reason="at its boot")
    served = msgspec.structs.replace(once, state=S.READY, ready_at=110.0)
    no_room = after_death(booting, now=100.0, reason="needs 3 GiB", had_room=False)
    still_none = after_death(no_room, now=101.0, reason="needs 3 GiB", had_room=False)
    twice = after_death(served, now=120.0, reason="of a request")
    stable = after_death(served, now=110.0 + STABLE_AFTER_SECONDS, reason="of old age")
    for one, reason in (
        (once, None),
        (twice, "of a request"),
        (stable, None),
        # Who finds no room has not died, and waits for some.
        (after_death(once, now=101.0, reason="needs 3 GiB", had_room=False), None),
        (still_none, None),
    ):
        assert why_back(EDITED, [one], frozenset()) == reason


@pytest.mark.parametrize(
    ("wanted", "instances", "moved"),
    [
        (1, [new()], True),
        (2, [new()], False),
        (1, [old(), new()], False),
        (1, [old(S.DRAINING), new()], False),
        (1, [new(S.STARTING)], False),
        (1, [], False),
    ],
)
def test_all_have_moved_once_they_serve_and_what_was_before_is_gone(
    wanted: int, instances: list[Instance], moved: bool
) -> None:
    service = msgspec.structs.replace(EDITED, desired_instances=wanted, makes_room=M.ONE_BY_ONE)
    old_ones = outdated(service, instances)
    assert has_moved(service, instances, old_ones) is moved
    assert settled(service, instances, old_ones, now=0.0).makes_room is (
        M.NO if moved else M.ONE_BY_ONE
    )
    stopped = msgspec.structs.replace(service, desired_state=DesiredState.STOPPED)
    assert not has_moved(stopped, instances, old_ones)
    assert settled(stopped, instances, old_ones, now=0.0) == stopped


@pytest.mark.parametrize(
    ("ready_at", "over"),
    [((0.0, 0.0), True), ((0.0, 0.5), False), ((None, 0.0), False), ((0.0, 0.0, 0.5), True)],
)
def test_what_it_goes_back_to_is_kept_until_all_are_stable(
    ready_at: tuple[float | None, ...], over: bool
) -> None:
    service = msgspec.structs.replace(EDITED, desired_instances=2)
    instances = [new(ready_at=at) for at in ready_at]
    after = settled(service, instances, frozenset(), now=STABLE_AFTER_SECONDS)
    assert (after.previous is None) is over


def on(runtime_id: str | None, state: InstanceState = S.READY, **changes: object) -> Instance:
    placement = None if state in (S.BACKOFF, S.FAILED) else ON_CPU
    instance = an_instance(runtime_id or "none", state=state, way=way_of(EDITED))
    return msgspec.structs.replace(instance, runtime_id=runtime_id, placement=placement, **changes)


@pytest.mark.parametrize(
    ("service", "instances", "moves"),
    [
        (a_service(), [on(OLD)], True),
        (a_service(), [on(OLD, S.DRAINING), on(NEW)], True),
        (a_service(), [on(NEW)], False),
        (a_service(), [on(OLD, S.BACKOFF)], False),
        # In its place nothing serves until the new one does.
        (a_service(makes_room=M.ONE_BY_ONE), [on(NEW, S.BACKOFF)], True),
        (a_service(desired_state=DesiredState.STOPPED), [on(OLD)], False),
    ],
)
def test_a_pin_is_on_its_way_while_something_runs_on_another_runtime(
    service: Service, instances: list[Instance], moves: bool
) -> None:
    assert is_moving(service, instances, PINNED) is moves
    on_gpu = msgspec.structs.replace(PINNED, accelerator=Accelerator.CUDA)
    assert is_moving(service, instances, on_gpu) is (moves and service.makes_room > M.NO)


@pytest.mark.parametrize(
    ("instances", "reason"),
    [
        ([on(OLD), on(NEW, S.STARTING)], None),
        ([on(OLD), on(NEW, S.BACKOFF, boots_without_ready=1)], None),
        ([on(OLD), on(NEW, S.BACKOFF, boots_without_ready=2, reason="SIGILL")], "qwen2: SIGILL"),
        ([on(OLD), on(None, S.BACKOFF, boots_without_ready=2, reason="gone")], "qwen2: gone"),
        # What fails and never ran on another says nothing of the runtime.
        ([on(NEW, S.FAILED, reason="the model is broken")], None),
        ([on(OLD), on(OLD, S.FAILED, reason="of before")], None),
        ([on(OLD), on(NEW, S.BACKOFF, failures=2, reason="SIGILL")], "qwen2: SIGILL"),
    ],
)
def test_a_pin_goes_back_when_what_moves_to_it_does_not_serve(
    instances: list[Instance], reason: str | None
) -> None:
    service = a_service()
    assert why_unpin(PINNED, [service], {service.id: instances}) == reason
    # While an edit is under way, it is that which goes back.
    edited = a_service(previous=way_of(BEFORE))
    assert why_unpin(PINNED, [edited], {edited.id: instances}) is None


def test_a_pin_goes_back_also_when_what_has_moved_dies_again_and_again() -> None:
    service, dies = a_service(), on(NEW, S.BACKOFF, failures=2, reason="SIGILL")
    by_id = {service.id: [dies]}
    assert why_unpin(PINNED, [service], by_id) is None
    assert why_unpin(PINNED, [service], by_id, {service.id}) == "qwen2: SIGILL"


@pytest.mark.parametrize(
    ("instances", "may"),
    [
        ([on(NEW, ready_at=0.0)], False),
        ([on(NEW, ready_at=0.0), on(NEW, ready_at=0.5)], True),
        ([on(NEW, S.BACKOFF)], True),
        ([on(NEW, S.STARTING)], True),
        # It sleeps, or gave up.
        ([], False),
        ([on(NEW, S.ASLEEP)], False),
        ([on(NEW, S.FAILED)], False),
    ],
)
def test_a_pin_is_watched_until_what_has_moved_is_stable(
    instances: list[Instance], may: bool
) -> None:
    now = STABLE_AFTER_SECONDS
    assert may_still_die(a_service(), instances, now=now) is may
    stopped = a_service(desired_state=DesiredState.STOPPED)
    assert not may_still_die(stopped, instances, now=now)


WAITS = new(S.BACKOFF, reason="needs 3 GiB")


@pytest.mark.parametrize(
    ("changes", "instances", "words"),
    [
        ({}, [new()], None),
        ({}, [old(S.STOPPED), new()], None),
        ({"desired_state": DesiredState.STOPPED}, [old()], None),
        ({}, [old()], "0 of 1 instance replaced"),
        ({"desired_instances": 2}, [old(), new()], "1 of 2 instances replaced"),
        ({}, [old(), WAITS], "ends an old one first"),
        # The last goes on, unless its owner said that it need not.
        ({"makes_room": M.ONE_BY_ONE}, [old(), WAITS], "ends an old one first"),
        ({"makes_room": M.TO_THE_LAST}, [old(), WAITS], "waits for room beside those that serve"),
    ],
)
def test_how_far_it_is_is_told(
    changes: dict[str, object], instances: list[Instance], words: str | None
) -> None:
    service = msgspec.structs.replace(EDITED, **changes)
    sentence = told(service, instances, outdated(service, instances))
    assert sentence is None if words is None else (sentence or "").endswith(words)
