"""Desired against actual: single decisions as tables, and whole histories made by Hypothesis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from hydra_box.plan.lifecycle import (
    ALLOWED,
    COUNTS_AS_WANTED,
    HAS_PROCESS,
    after_death,
    waits_for_room,
)
from hydra_box.plan.reconcile import (
    Action,
    CreateInstance,
    DrainInstance,
    ForgetInstance,
    ForgetService,
    SleepInstance,
    StartInstance,
    StopInstance,
    WakeInstance,
    reconcile,
)
from hydra_box.plan.sleep import Sleep
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
from tests.samples import a_service, an_instance

D, M, S = DesiredState, MakesRoom, InstanceState

CREATE = CreateInstance(service_id="svc-qwen2")
GONE = ForgetService(service_id="svc-qwen2")


def _start(id: str) -> StartInstance:
    return StartInstance(instance_id=id)


def _drain(id: str) -> DrainInstance:
    return DrainInstance(instance_id=id)


def _stop(id: str) -> StopInstance:
    return StopInstance(instance_id=id)


def _forget(id: str) -> ForgetInstance:
    return ForgetInstance(instance_id=id)


def _named(states: dict[str, InstanceState]) -> list[Instance]:
    """Instances by name, each younger than the one before."""
    return [
        an_instance(id, state=state, created_at=float(number))
        for number, (id, state) in enumerate(states.items())
    ]


@pytest.mark.parametrize(
    ("desired", "states", "actions"),
    [
        # Too few.
        (0, {}, []),
        (2, {}, [CREATE, CREATE]),
        (2, {"a": S.READY}, [CREATE]),
        (1, {"a": S.DRAINING}, [CREATE]),
        (1, {"a": S.STOPPING}, [CREATE]),
        # As many as wanted.
        (1, {"a": S.PENDING}, [_start("a")]),
        (1, {"a": S.STARTING}, []),
        (1, {"a": S.READY}, []),
        (1, {"a": S.FAILED}, []),
        (1, {"a": S.READY, "b": S.DRAINING, "c": S.STOPPING}, []),
        # What has ended is forgotten.
        (1, {"a": S.STOPPED}, [_forget("a"), CREATE]),
        (1, {"a": S.READY, "b": S.STOPPED}, [_forget("b")]),
        # Too many: the least useful first, then the youngest.
        (1, {"a": S.READY, "b": S.READY}, [_drain("b")]),
        (1, {"a": S.STARTING, "b": S.READY}, [_stop("a")]),
        (1, {"a": S.PENDING, "b": S.STARTING}, [_forget("a")]),
        (1, {"a": S.BACKOFF, "b": S.PENDING}, [_forget("a"), _start("b")]),
        (1, {"a": S.FAILED, "b": S.BACKOFF}, [_forget("a"), _start("b")]),
        (1, {"a": S.FAILED, "b": S.READY, "c": S.READY}, [_forget("a"), _drain("c")]),
        (0, {"a": S.READY, "b": S.STARTING}, [_stop("b"), _drain("a")]),
    ],
)
def test_of_a_service_that_should_run(
    desired: int, states: dict[str, InstanceState], actions: list[Action]
) -> None:
    service = a_service(desired_instances=desired)
    assert reconcile([service], _named(states), now=100.0) == actions


EVERY_STATE = {state.value: state for state in S}


@pytest.mark.parametrize(
    "services",
    [[a_service(desired_state=D.STOPPED)], [a_service(desired_state=D.DELETED)], []],
)
def test_what_ends_lets_requests_finish(services: list[Service]) -> None:
    assert set(reconcile(services, _named(EVERY_STATE), now=100.0)) == {
        _forget("pending"),
        _forget("backoff"),
        _forget("failed"),
        _forget("stopped"),
        _stop("starting"),
        _stop("asleep"),
        _drain("ready"),
    }


def test_a_deleted_service_is_forgotten_after_its_last_instance() -> None:
    service = a_service(desired_state=D.DELETED)
    assert reconcile([service], _named({"a": S.STOPPING}), now=100.0) == []
    assert reconcile([service], _named({"a": S.STOPPED}), now=100.0) == [_forget("a")]
    assert reconcile([service], [], now=100.0) == [GONE]


def test_services_are_forgotten_last_because_that_takes_a_while() -> None:
    services = [a_service(desired_state=D.DELETED), a_service("other")]
    instances = [an_instance("b", service_id="svc-other")]
    assert reconcile(services, instances, now=100.0) == [_start("b"), GONE]


@pytest.mark.parametrize(
    ("retry_at", "actions"), [(100.1, []), (100.0, [_start("a")]), (None, [_start("a")])]
)
def test_a_backoff_ends_at_its_time(retry_at: float | None, actions: list[Action]) -> None:
    instance = an_instance("a", state=S.BACKOFF, retry_at=retry_at)
    assert reconcile([a_service()], [instance], now=100.0) == actions


def test_services_do_not_take_each_others_instances() -> None:
    services = [a_service(), a_service("other", desired_instances=2)]
    instances = [
        an_instance("a", state=S.READY),
        an_instance("b", state=S.READY, created_at=21.0),
        an_instance("c", state=S.READY, service_id="svc-other"),
    ]
    assert reconcile(services, instances, now=100.0) == [
        _drain("b"),
        CreateInstance(service_id="svc-other"),
    ]


# --- replacing ----------------------------------------------------------------

EDITED = a_service(context_length=4096)
NEW, OLD = "n", "o"
"""An instance whose name begins so was started for the service as it is, or as it was before."""


def _replacing(
    desired: int,
    states: dict[str, InstanceState],
    *,
    makes_room: MakesRoom = M.NO,
    unhealthy: Collection[str] = (),
    changes: Mapping[str, object] | None = None,
) -> list[Action]:
    service = msgspec.structs.replace(EDITED, desired_instances=desired, makes_room=makes_room)
    named = [msgspec.structs.replace(one, **(changes or {})) for one in _named(states)]
    ways = {one.id: way_of(service if one.id.startswith(NEW) else a_service()) for one in named}
    # What is pending was never started.
    instances = [
        one if one.state is S.PENDING else msgspec.structs.replace(one, way=ways[one.id])
        for one in named
    ]
    return reconcile([service], instances, now=100.0, unhealthy=unhealthy)


USELESS: list[tuple[int, dict[str, InstanceState], list[Action]]] = [
    # What does not serve goes at once, and its successor comes when its memory is free.
    (1, {"o": S.STARTING}, [_stop("o")]),
    (1, {"o": S.ASLEEP}, [_stop("o")]),
    (1, {"o": S.STOPPING}, []),
    (1, {"o": S.BACKOFF}, [_forget("o"), CREATE]),
    (1, {"o": S.FAILED}, [_forget("o"), CREATE]),
    (2, {"o1": S.READY, "o2": S.FAILED}, [_forget("o2"), CREATE]),
    (3, {"o1": S.READY, "o2": S.STARTING, "o3": S.BACKOFF}, [_forget("o3"), _stop("o2"), CREATE]),
    (2, {"n1": S.READY, "n2": S.READY}, []),
    (0, {"o": S.READY}, [_drain("o")]),
    # A way of running that does not work takes down none of those that serve.
    (2, {"o": S.READY, "n": S.FAILED}, []),
    (1, {"o": S.READY, "n": S.READY}, [_drain("o")]),
    (2, {"o": S.READY}, [CREATE]),
]


@pytest.mark.parametrize("makes_room", M)
@pytest.mark.parametrize(("desired", "states", "actions"), USELESS)
def test_outdated_instances_that_do_not_serve_are_replaced(
    desired: int, states: dict[str, InstanceState], actions: list[Action], makes_room: MakesRoom
) -> None:
    assert _replacing(desired, states, makes_room=makes_room) == actions


@pytest.mark.parametrize(
    ("desired", "states", "actions"),
    [
        # A new one beside them, and the oldest goes once that one serves; then the next.
        (1, {"o": S.READY}, [CREATE]),
        (1, {"o": S.READY, "n": S.PENDING}, [_start("n")]),
        (1, {"o": S.READY, "n": S.STARTING}, []),
        (1, {"o": S.READY, "n": S.FAILED}, []),
        (1, {"o": S.DRAINING, "n": S.READY}, []),
        (2, {"o1": S.READY, "o2": S.READY}, [CREATE]),
        (2, {"o1": S.READY, "o2": S.READY, "n": S.STARTING}, []),
        (2, {"o1": S.READY, "o2": S.READY, "n": S.READY}, [_drain("o1")]),
        (2, {"o1": S.DRAINING, "o2": S.READY, "n": S.READY}, []),
        (2, {"o1": S.STOPPED, "o2": S.READY, "n": S.READY}, [_forget("o1"), CREATE]),
        # Those that are missing come first, and then one beside.
        (2, {"o": S.READY, "n": S.STARTING}, []),
        (2, {"o": S.READY, "n": S.READY}, [CREATE]),
        (3, {"o": S.READY}, [CREATE, CREATE]),
        # With fewer wanted, those that are outdated go, as long as enough serve.
        (1, {"o1": S.READY, "o2": S.READY, "n": S.STARTING}, [_drain("o1")]),
        (1, {"o": S.READY, "n1": S.STARTING, "n2": S.PENDING}, [_forget("n2")]),
        # One that died is replaced as one that is missing.
        (1, {"o": S.READY, "o2": S.BACKOFF}, [_forget("o2")]),
    ],
)
def test_outdated_instances_serve_until_new_ones_do(
    desired: int, states: dict[str, InstanceState], actions: list[Action]
) -> None:
    assert _replacing(desired, states) == actions


@pytest.mark.parametrize(
    ("desired", "states", "actions"),
    [
        # One after another, the oldest first; the next begins when its successor is ready.
        (1, {"o": S.READY}, [_drain("o")]),
        (1, {"o": S.DRAINING}, []),
        (1, {"o": S.STOPPED}, [_forget("o"), CREATE]),
        (2, {"o1": S.READY, "o2": S.READY}, [_drain("o1")]),
        (2, {"o1": S.DRAINING, "o2": S.READY}, []),
        (2, {"o1": S.STOPPED, "o2": S.READY}, [_forget("o1"), CREATE]),
        (2, {"o2": S.READY, "n": S.PENDING}, [_start("n")]),
        (2, {"o2": S.READY, "n": S.STARTING}, []),
        (2, {"o2": S.READY, "n": S.READY}, [_drain("o2")]),
        # More or fewer at the same time.
        (1, {"n": S.STARTING, "o": S.READY}, [_stop("n")]),
        (1, {"o": S.READY, "n": S.DRAINING}, []),
    ],
)
def test_where_old_and_new_have_no_room_one_at_a_time_makes_it(
    desired: int, states: dict[str, InstanceState], actions: list[Action]
) -> None:
    assert _replacing(desired, states, makes_room=M.ONE_BY_ONE) == actions
    assert _replacing(desired, states, makes_room=M.TO_THE_LAST) == actions


WAITS: dict[str, object] = {"retry_at": 200.0}
"""An instance in BACKOFF that never had a process: there was no room for it."""


@pytest.mark.parametrize(
    ("desired", "states", "actions"),
    [
        # The last one that serves goes on serving, and the new one waits.
        (1, {"o": S.READY, "n": S.BACKOFF}, []),
        (2, {"o": S.READY, "n": S.BACKOFF}, []),
        # Where another serves, one gives its memory up, and its successor comes after it.
        (2, {"o1": S.READY, "o2": S.READY, "n": S.BACKOFF}, [_drain("o1"), _forget("n")]),
        (2, {"o": S.READY, "n1": S.READY, "n2": S.BACKOFF}, [_drain("o"), _forget("n2")]),
        (2, {"o1": S.DRAINING, "o2": S.READY}, []),
        # One at a time.
        (3, {"o1": S.DRAINING, "o2": S.READY, "o3": S.READY, "n": S.BACKOFF}, []),
    ],
)
def test_what_waits_for_room_gets_it_while_others_serve(
    desired: int, states: dict[str, InstanceState], actions: list[Action]
) -> None:
    assert _replacing(desired, states, changes=WAITS) == actions


@pytest.mark.parametrize(
    ("changes", "actions"),
    [
        # It never had a process: the outdated ones may hold the memory that it waits for.
        ({}, [_drain("o")]),
        ({"runtime_id": "llama.cpp/bundled-1-cpu"}, []),
        ({"boots_without_ready": 1}, []),
    ],
)
def test_only_what_waits_for_room_is_given_some(
    changes: dict[str, object], actions: list[Action]
) -> None:
    states = {"o": S.READY, "n1": S.READY, "n2": S.BACKOFF}
    assert _replacing(3, states, makes_room=M.ONE_BY_ONE, changes=WAITS | changes) == actions
    # The last that serves goes on: a driver may only be slow to give memory back.
    alone = {"o": S.READY, "n": S.BACKOFF}
    assert _replacing(2, alone, makes_room=M.ONE_BY_ONE, changes=WAITS | changes) == []
    # But where its owner lets nothing serve for a while.
    ends = _replacing(2, alone, makes_room=M.TO_THE_LAST, changes=WAITS | changes)
    assert ends == ([] if changes else [_drain("o")])
    more = {"o1": S.READY, "o2": S.READY, "n": S.BACKOFF}
    assert bool(_replacing(2, more, changes=WAITS | changes)) is (not changes)


def test_the_unhealthy_are_the_first_to_go() -> None:
    three = {"a": S.READY, "b": S.READY, "c": S.READY}
    fewer = a_service(desired_instances=2)
    assert reconcile([fewer], _named(three), now=0.0) == [_drain("c")]
    assert reconcile([fewer], _named(three), now=0.0, unhealthy={"b"}) == [_drain("b")]
    # What does not serve is worth less still.
    mixed = {"a": S.READY, "b": S.STARTING, "c": S.READY}
    assert reconcile([fewer], _named(mixed), now=0.0, unhealthy={"a"}) == [_stop("b")]
    replaced = {"o1": S.READY, "o2": S.READY, "n": S.READY}
    assert _replacing(2, replaced, unhealthy={"o2"}) == [_drain("o2")]
    two = {"o1": S.READY, "o2": S.READY}
    assert _replacing(2, two, makes_room=M.ONE_BY_ONE, unhealthy={"o2"}) == [_drain("o2")]


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": EngineName.VLLM},
        {"model_path": "/models/other.gguf"},
        {"context_length": 512},
        {"slots": 1},
        {"on_cpu": True},
    ],
)
def test_what_a_running_process_cannot_take_over(changes: dict[str, object]) -> None:
    edited = msgspec.structs.replace(a_service(), **changes)
    old = an_instance("a", state=S.READY, way=way_of(a_service()))
    new = an_instance("a", state=S.READY, way=way_of(edited))
    assert reconcile([edited], [old], now=0.0) == [CREATE]
    assert reconcile([edited], [new], now=0.0) == []


def test_what_does_not_matter_to_a_process_replaces_none() -> None:
    changed = a_service(desired_instances=1, quantization="Q8_0", download_id="dl-1", public=False)
    instance = an_instance("a", state=S.READY, way=way_of(a_service()))
    assert reconcile([changed], [instance], now=0.0) == []


ON_CPU = Placement(
    engine=EngineName.LLAMA_CPP,
    accelerator=Accelerator.CPU,
    devices=("cpu",),
    options=EngineOptions(context_length=2048, slots=4, batch_tokens=512),
    memory=(),
)


@pytest.mark.parametrize(
    ("state", "runtime_id", "actions"),
    [
        (S.READY, "llama.cpp/old", [CREATE]),
        (S.STARTING, "llama.cpp/old", [_stop("a")]),
        (S.READY, "llama.cpp/new", []),
        # Which it will run on is not known yet; and what is started again runs on the pinned one.
        (S.STARTING, None, []),
        (S.BACKOFF, "llama.cpp/old", [_start("a")]),
    ],
)
def test_what_runs_on_another_runtime_than_the_pinned_one_is_replaced(
    state: InstanceState, runtime_id: str | None, actions: list[Action]
) -> None:
    service = a_service()
    instance = an_instance(
        "a", state=state, way=way_of(service), runtime_id=runtime_id, placement=ON_CPU
    )
    pins = {(EngineName.LLAMA_CPP, Accelerator.CPU): "llama.cpp/new"}
    assert reconcile([service], [instance], now=0.0, pins=pins) == actions
    others = {(EngineName.LLAMA_CPP, Accelerator.CUDA): "llama.cpp/new"}
    for pinned in ({}, others):
        unmoved = [] if state is not S.BACKOFF else actions
        assert reconcile([service], [instance], now=0.0, pins=pinned) == unmoved


# --- sleep --------------------------------------------------------------------


def _resting(
    states: dict[str, InstanceState], *, desired: int = 1, asleep: bool = True, **known: set[str]
) -> list[Action]:
    """What becomes of instances of a service; those whose names begin with "p" sleep in place."""
    service = a_service(desired_instances=desired, idle_timeout_seconds=60.0)
    sleep = Sleep(
        services=frozenset({service.id} if asleep else ()),
        in_place=frozenset(name for name in states if name.startswith("p")),
        ending=frozenset(known.get("ending", ())),
    )
    old = a_service(context_length=512)
    instances = [
        msgspec.structs.replace(
            one, way=way_of(old if one.id in known.get("outdated", ()) else service)
        )
        for one in _named(states)
    ]
    return reconcile([service], instances, now=100.0, sleep=sleep)


@pytest.mark.parametrize(
    ("desired", "states", "actions"),
    [
        (1, {}, []),
        (1, {"a": S.READY}, [_drain("a")]),
        (2, {"a": S.READY, "b": S.BACKOFF}, [_drain("a"), _forget("b")]),
        (2, {"a": S.READY, "b": S.FAILED}, [_drain("a"), _forget("b")]),
        (1, {"a": S.DRAINING}, []),
        (1, {"a": S.STOPPING}, []),
        (1, {"a": S.STOPPED}, [_forget("a")]),
        (1, {"p": S.READY}, [SleepInstance(instance_id="p")]),
        (1, {"p": S.ASLEEP}, []),
        (2, {"p": S.ASLEEP, "a": S.READY}, [_drain("a")]),
        # It was scaled down while it slept.
        (1, {"p1": S.ASLEEP, "p2": S.ASLEEP}, [_stop("p2")]),
    ],
)
def test_a_service_that_sleeps_keeps_only_what_it_can_wake(
    desired: int, states: dict[str, InstanceState], actions: list[Action]
) -> None:
    assert _resting(states, desired=desired) == actions


@pytest.mark.parametrize(
    ("desired", "states", "actions"),
    [
        (2, {}, [CREATE, CREATE]),
        (1, {"p": S.ASLEEP}, [WakeInstance(instance_id="p")]),
        (2, {"p": S.ASLEEP}, [WakeInstance(instance_id="p"), CREATE]),
        (1, {"p1": S.ASLEEP, "p2": S.ASLEEP}, [_stop("p2"), WakeInstance(instance_id="p1")]),
        (1, {"p": S.STARTING}, []),
    ],
)
def test_a_service_that_wakes_takes_what_slept_and_makes_what_is_missing(
    desired: int, states: dict[str, InstanceState], actions: list[Action]
) -> None:
    assert _resting(states, desired=desired, asleep=False) == actions


def test_who_wakes_waits_for_the_memory_of_what_was_ended_to_sleep() -> None:
    for state in (S.DRAINING, S.STOPPING):
        assert _resting({"a": state}, asleep=False, ending={"a"}) == []
        assert _resting({"a": state}, asleep=False) == [CREATE]
    gone = _resting({"a": S.STOPPED}, asleep=False, ending={"a"})
    assert gone == [_forget("a"), CREATE]


def test_what_was_edited_while_it_slept_wakes_as_what_it_is_now() -> None:
    assert _resting({"p": S.ASLEEP}, outdated={"p"}) == [_stop("p")]
    assert _resting({"p": S.READY}, outdated={"p"}) == [_drain("p")]
    assert _resting({"p": S.ASLEEP}, asleep=False, outdated={"p"}) == [_stop("p")]


# --- histories --------------------------------------------------------------


UNSETTLED = {S.PENDING, S.STARTING, S.DRAINING, S.STOPPING, S.ASLEEP}
PLACES = tuple("02468")
"""Instances whose ids end so can sleep in place."""


class World(RuleBasedStateMachine):
    """Owners ask, processes live and die, and the actions of each step are carried out."""

    services_made = Bundle("services_made")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.made = 0
        self.services: dict[str, Service] = {}
        self.instances: dict[str, Instance] = {}
        self.asleep: set[str] = set()
        self.ending: set[str] = set()

    # What owners ask.

    @rule(target=services_made, desired=st.integers(1, 4))
    def deploy(self, desired: int) -> str:
        self.made += 1
        service = a_service(f"s-{self.made}", desired_instances=desired)
        self.services[service.id] = service
        return service.id

    @rule(id=services_made, desired=st.integers(1, 4))
    def scale(self, id: str, desired: int) -> None:
        if id in self.services:
            self._change_service(id, desired_instances=desired)

    @rule(
        id=services_made, context_length=st.sampled_from((512, 1024)), makes_room=st.sampled_from(M)
    )
    def edit(self, id: str, context_length: int, makes_room: MakesRoom) -> None:
        if id in self.services:
            changes = {"context_length": context_length, "makes_room": makes_room}
            self._change_service(id, **changes)

    @rule(id=services_made, state=st.sampled_from(D))
    def want(self, id: str, state: DesiredState) -> None:
        if id in self.services and self.services[id].desired_state is not D.DELETED:
            self._change_service(id, desired_state=state)
            if state is not D.RUNNING:
                self.asleep.discard(id)

    @rule(id=services_made)
    def fall_asleep(self, id: str) -> None:
        if id in self.services and self.services[id].desired_state is D.RUNNING:
            states = {one.state for one in self._of(self.services[id])}
            if S.READY in states and not states & UNSETTLED:
                self.asleep.add(id)

    @rule(id=services_made)
    def wake(self, id: str) -> None:
        self.asleep.discard(id)

    # What processes do.

    @rule(data=st.data())
    def become_ready(self, data: st.DataObject) -> None:
        if found := self._any_of(data, S.STARTING):
            self._change(found, state=S.READY, ready_at=self.now)

    @rule(data=st.data(), had_room=st.booleans())
    def die(self, data: st.DataObject, had_room: bool) -> None:
        if found := self._any_of(data, S.STARTING, S.READY):
            had_room = had_room or found.state is S.READY
            dead = after_death(found, now=self.now, reason="it died", had_room=had_room)
            assert dead.state in ALLOWED[found.state]
            self.instances[found.id] = dead

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if found := self._any_of(data, S.DRAINING, S.STOPPING, S.ASLEEP):
            self._change(found, state=S.STOPPED)

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    # What the supervisor does.

    @rule()
    def step(self) -> None:
        actions = self._reconcile()
        assert all(count == 1 for action, count in self._counts(actions).items())
        for action in actions:
            self._apply(action)
        self._nothing_is_asked_twice(actions)
        for service in self.services.values():
            present = [one for one in self._of(service) if one.state in COUNTS_AS_WANTED]
            leaving = [one for one in self._of(service) if one.state in (S.DRAINING, S.STOPPING)]
            old = self._outdated(service) | self.ending
            in_the_way = [one for one in leaving if one.id in old]
            if service.id in self.asleep:
                assert all(one.state is S.ASLEEP for one in present)
                assert len(present) <= service.desired_instances
                continue
            missing = self._wanted(service) - len(present)
            beside = int(bool(self._serving_outdated(service)) and not service.makes_room)
            assert -beside <= missing <= len(in_the_way)

    @invariant()
    def never_more_processes_are_started_than_wanted(self) -> None:
        starts = {one.instance_id for one in self._reconcile() if isinstance(one, StartInstance)}
        ends = {
            one.instance_id
            for one in self._reconcile()
            if isinstance(one, DrainInstance | StopInstance | SleepInstance)
        }
        wakes = {one.instance_id for one in self._reconcile() if isinstance(one, WakeInstance)}
        assert not (starts | wakes) & ends
        for service in self.services.values():
            kept = [one for one in self._of(service) if one.id not in ends]
            running = [one for one in kept if one.state in (S.STARTING, S.READY)]
            begun = [one for one in kept if one.id in starts]
            assert all(one.state not in HAS_PROCESS for one in begun)
            woken = [one for one in kept if one.id in wakes]
            assert all(one.state is S.ASLEEP for one in woken)
            beside = bool(self._serving_outdated(service)) and not service.makes_room
            allowed = self._wanted(service) + beside if self._wanted(service) else 0
            assert len(running) + len(begun) + len(woken) <= allowed

    @invariant()
    def never_serves_less_than_it_must(self) -> None:
        ends = {one.instance_id for one in self._reconcile() if isinstance(one, DrainInstance)}
        for service in self.services.values():
            wanted = self._wanted(service)
            serving = [one for one in self._of(service) if one.state is S.READY]
            staying = [one for one in serving if one.id not in ends]
            if not wanted or len(staying) >= min(wanted, len(serving)):
                continue
            # Less than before: one at a time, and where nobody allowed it, only for one that waits
            # for room, while another serves.
            assert len(staying) >= min(wanted, len(serving)) - 1
            if not service.makes_room:
                assert staying
                assert any(waits_for_room(one) for one in self._of(service))

    def teardown(self) -> None:
        """Left alone with healthy processes, every history ends with what is wanted."""
        for _ in range(40):
            self.now += 400
            for instance in list(self.instances.values()):
                if instance.state is S.STARTING:
                    self._change(instance, state=S.READY, ready_at=self.now)
                if instance.state in (S.DRAINING, S.STOPPING):
                    self._change(instance, state=S.STOPPED)
            if not self._reconcile():
                break
            self.step()
        assert self._reconcile() == []
        assert all(one.service_id in self.services for one in self.instances.values())
        for service in self.services.values():
            assert service.desired_state is not D.DELETED
            if service.id in self.asleep:
                assert all(one.state is S.ASLEEP for one in self._of(service))
                continue
            states = Counter(one.state for one in self._of(service))
            assert states[S.READY] + states[S.FAILED] == states.total()
            # One that was started beside those that serve may have given up.
            beside = bool(states[S.FAILED] and self._serving_outdated(service))
            assert 0 <= states.total() - self._wanted(service) <= beside
            # What cannot run as it now should does not take down what runs as it did.
            assert states[S.FAILED] or not self._outdated(service)

    # Inside.

    def _reconcile(self) -> list[Action]:
        return reconcile(
            self.services.values(),
            list(self.instances.values()),
            now=self.now,
            sleep=Sleep(
                services=frozenset(self.asleep),
                in_place=frozenset(id for id in self.instances if id.endswith(PLACES)),
                ending=frozenset(self.ending),
            ),
        )

    def _outdated(self, service: Service) -> frozenset[str]:
        return outdated(service, self._of(service))

    def _serving_outdated(self, service: Service) -> list[Instance]:
        old = self._outdated(service)
        return [one for one in self._of(service) if one.id in old and one.state is S.READY]

    def _counts(self, actions: list[Action]) -> Counter[Action]:
        return Counter(action for action in actions if not isinstance(action, CreateInstance))

    def _nothing_is_asked_twice(self, actions: list[Action]) -> None:
        again = self._reconcile()
        assert not set(actions) & set(again)
        assert not any(isinstance(action, CreateInstance) for action in again)

    def _apply(self, action: Action) -> None:
        match action:
            case CreateInstance(service_id=id):
                self.made += 1
                new = an_instance(f"i-{self.made}", service_id=id, created_at=float(self.made))
                self.instances[new.id] = new
            case StartInstance(instance_id=id):
                way = way_of(self.services[self.instances[id].service_id])
                self._change(self.instances[id], state=S.STARTING, retry_at=None, way=way)
            case DrainInstance(instance_id=id):
                self._leave(self.instances[id], S.DRAINING)
            case SleepInstance(instance_id=id):
                self._change(self.instances[id], state=S.ASLEEP)
            case WakeInstance(instance_id=id):
                self._change(self.instances[id], state=S.STARTING)
            case StopInstance(instance_id=id):
                self._leave(self.instances[id], S.STOPPING)
            case ForgetInstance(instance_id=id):
                assert self.instances.pop(id).state not in HAS_PROCESS
            case ForgetService(service_id=id):
                assert not self._of(self.services.pop(id))

    def _change(self, instance: Instance, **changes: object) -> None:
        new = msgspec.structs.replace(instance, **changes)
        assert new.state in ALLOWED[instance.state]
        self.instances[instance.id] = new

    def _leave(self, instance: Instance, state: InstanceState) -> None:
        self._change(instance, state=state)
        if instance.service_id in self.asleep:
            self.ending.add(instance.id)

    def _change_service(self, id: str, **changes: object) -> None:
        self.services[id] = msgspec.structs.replace(self.services[id], **changes)

    def _of(self, service: Service) -> list[Instance]:
        return [one for one in self.instances.values() if one.service_id == service.id]

    def _any_of(self, data: st.DataObject, *states: InstanceState) -> Instance | None:
        found = [one for one in self.instances.values() if one.state in states]
        return data.draw(st.sampled_from(found)) if found else None

    def _wanted(self, service: Service) -> int:
        runs = service.desired_state is D.RUNNING and service.id not in self.asleep
        return service.desired_instances if runs else 0


World.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestWorld = World.TestCase


def test_a_service_whose_model_is_not_here_gets_no_instance() -> None:
    service = a_service(desired_instances=2)
    assert reconcile([service], [], now=0.0, waiting={service.id}) == []
    assert reconcile([service], [], now=0.0) == [CREATE, CREATE]
    deleted = msgspec.structs.replace(service, desired_state=D.DELETED)
    assert reconcile([deleted], [], now=0.0, waiting={service.id}) == [GONE]
