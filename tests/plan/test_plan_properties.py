"""What holds for every plan, on every machine, for every model."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hydra_box.plan.availability import available_bytes
from hydra_box.plan.memory import estimate
from hydra_box.plan.placement import place
from hydra_box.types import (
    CPU,
    LOCAL_ENGINES,
    Ask,
    Claim,
    Gpu,
    Machine,
    Modality,
    Offer,
    Plan,
    Rejection,
    WeightFormat,
)
from tests import machines
from tests.plan.making import EVERYTHING, GIB, MIB, facts

CARDS: tuple[tuple[str, int, tuple[int, int]], ...] = (
    ("NVIDIA GeForce GTX 1660", 6144, (7, 5)),
    ("NVIDIA GeForce RTX 3060", 12_288, (8, 6)),
    ("NVIDIA GeForce RTX 3090", 24_576, (8, 6)),
    ("NVIDIA GeForce RTX 4090", 24_564, (8, 9)),
    ("NVIDIA L40S", 46_068, (8, 9)),
)
BYTES_PER_WEIGHT = {
    "BF16": 2.0, "FP8": 1.0, "AWQ": 0.6,
    "Q8_0": 1.06, "Q6_K": 0.82, "Q4_K_M": 0.6, "Q3_K_M": 0.48, "Q2_K": 0.38,
}  # fmt: skip
SAFETENSORS = ("BF16", "FP8", "AWQ")


@st.composite
def gpu_sets(draw: st.DrawFn) -> tuple[Gpu, ...]:
    """None to four GPUs, alike or mixed, of which others hold some."""
    kinds = draw(st.lists(st.sampled_from(CARDS), min_size=0, max_size=4))
    alike = draw(st.booleans())
    if kinds and alike:
        kinds = [kinds[0]] * len(kinds)
    return tuple(
        machines.gpu(
            name,
            total,
            capability,
            index=index,
            held_mib=draw(st.sampled_from((0, 0, total // 4, total // 2))),
        )
        for index, (name, total, capability) in enumerate(kinds)
    )


@st.composite
def all_machines(draw: st.DrawFn) -> Machine:
    free = draw(st.integers(2, 120))
    return machines.machine(*draw(gpu_sets()), ram_gib=free + 8, free_ram_gib=free)


@st.composite
def models(draw: st.DrawFn) -> tuple[Offer, ...]:
    """A model of 0.1 to 120 billion weights with one to five quantisations."""
    billions = draw(st.floats(0.1, 120.0))
    layers = draw(st.integers(2, 80))
    kv_heads = draw(st.sampled_from((1, 2, 8)))
    names = draw(
        st.lists(st.sampled_from(sorted(BYTES_PER_WEIGHT)), min_size=1, max_size=5, unique=True)
    )
    modality = draw(st.sampled_from((Modality.TEXT, Modality.TEXT, Modality.EMBEDDING)))
    return tuple(
        Offer(
            facts=facts(
                int(billions * 1e9 * BYTES_PER_WEIGHT[name]),
                layers=layers,
                quantization=name,
                format=WeightFormat.SAFETENSORS if name in SAFETENSORS else WeightFormat.GGUF,
                modality=modality,
                kv_heads=kv_heads,
                context_length=draw(st.sampled_from((2048, 32_768))),
            ),
            path="/models/x" if draw(st.booleans()) else None,
        )
        for name in names
    )


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    return Ask(
        engine=draw(st.sampled_from((None, None, *LOCAL_ENGINES))),
        context_length=draw(st.sampled_from((None, None, 512, 2048))),
        slots=draw(st.sampled_from((None, None, 1, 3, 16, 64))),
        instances=draw(st.sampled_from((1, 1, 2, 3, 5))),
        device=draw(st.sampled_from((None, None, None, CPU))),
    )


@st.composite
def claim_sets(draw: st.DrawFn, machine: Machine) -> tuple[Claim, ...]:
    devices = [CPU, *(one.uuid for one in machine.gpus)]
    found = []
    for device in draw(st.lists(st.sampled_from(devices), max_size=3)):
        granted = draw(st.integers(0, 8 * GIB))
        found.append(Claim(device=device, granted_bytes=granted, used_bytes=granted // 3))
    return tuple(found)


def taken(plan: Plan) -> Counter[str]:
    found: Counter[str] = Counter()
    for placement in plan.placements:
        for memory in placement.memory:
            found[memory.device] += memory.total_bytes
    return found


@settings(max_examples=60)
@given(ask=asks(), offers=models(), machine=all_machines(), data=st.data())
def test_a_plan_never_exceeds_a_device(
    ask: Ask, offers: tuple[Offer, ...], machine: Machine, data: st.DataObject
) -> None:
    claims = data.draw(claim_sets(machine))
    plan = place(ask, offers, machine, EVERYTHING, claims=claims)
    assume(isinstance(plan, Plan))
    assert isinstance(plan, Plan)
    room = available_bytes(machine, claims)
    for device, bytes_ in taken(plan).items():
        assert bytes_ <= room[device]
    assert len(plan.placements) == ask.instances <= plan.most_instances
    for gpu in machine.gpus:
        assert room[gpu.uuid] < gpu.free_bytes + sum(
            one.used_bytes for one in claims if one.device == gpu.uuid
        )
    for one in plan.placements:
        assert one.memory == estimate(
            plan.offer.facts, plan.engine, one.accelerator, one.devices, one.options
        )


@settings(max_examples=60)
@given(ask=asks(), offers=models(), machine=all_machines(), data=st.data())
def test_more_memory_never_turns_a_fit_into_a_refusal(
    ask: Ask, offers: tuple[Offer, ...], machine: Machine, data: st.DataObject
) -> None:
    assume(isinstance(place(ask, offers, machine, EVERYTHING), Plan))
    more_ram = data.draw(st.integers(0, 64)) * GIB
    gpus = []
    for gpu in machine.gpus:
        held = gpu.total_bytes - gpu.free_bytes - 300 * MIB
        freed = held * data.draw(st.integers(0, 4)) // 4
        gpus.append(msgspec.structs.replace(gpu, free_bytes=gpu.free_bytes + freed))
    larger = msgspec.structs.replace(
        machine,
        gpus=tuple(gpus),
        ram_total_bytes=machine.ram_total_bytes + more_ram,
        ram_available_bytes=machine.ram_available_bytes + more_ram,
    )
    found = place(ask, offers, larger, EVERYTHING)
    assert isinstance(found, Plan), found.message


@settings(max_examples=60)
@given(ask=asks(), offers=models(), machine=all_machines(), data=st.data())
def test_larger_gpus_never_turn_a_fit_into_a_refusal(
    ask: Ask, offers: tuple[Offer, ...], machine: Machine, data: st.DataObject
) -> None:
    assume(isinstance(place(ask, offers, machine, EVERYTHING), Plan))
    more = data.draw(st.integers(1, 32)) * GIB
    larger = msgspec.structs.replace(
        machine,
        gpus=tuple(
            msgspec.structs.replace(
                one, total_bytes=one.total_bytes + more, free_bytes=one.free_bytes + more
            )
            for one in machine.gpus
        ),
    )
    found = place(ask, offers, larger, EVERYTHING)
    assert isinstance(found, Plan), found.message


@settings(max_examples=60)
@given(ask=asks(), offers=models(), machine=all_machines(), data=st.data())
def test_a_smaller_model_never_needs_more(
    ask: Ask, offers: tuple[Offer, ...], machine: Machine, data: st.DataObject
) -> None:
    plan = place(ask, offers, machine, EVERYTHING)
    assume(isinstance(plan, Plan))
    assert isinstance(plan, Plan)
    share = data.draw(st.floats(0.3, 1.0))
    smaller = tuple(
        msgspec.structs.replace(
            one,
            facts=msgspec.structs.replace(
                one.facts,
                layer_weight_bytes=tuple(
                    int(bytes_ * share) for bytes_ in one.facts.layer_weight_bytes
                ),
                input_weight_bytes=int(one.facts.input_weight_bytes * share),
                output_weight_bytes=int(one.facts.output_weight_bytes * share),
            ),
        )
        for one in offers
    )
    found = place(ask, smaller, machine, EVERYTHING)
    assert isinstance(found, Plan), found.message
    for one in plan.placements:
        same = next(
            small
            for small, large in zip(smaller, offers, strict=True)
            if large.facts is plan.offer.facts
        )
        needs = estimate(same.facts, plan.engine, one.accelerator, one.devices, one.options)
        for less, more in zip(needs, one.memory, strict=True):
            assert less.total_bytes <= more.total_bytes


@settings(max_examples=60)
@given(ask=asks(), offers=models(), machine=all_machines(), data=st.data())
def test_every_alternative_of_a_rejection_fits(
    ask: Ask, offers: tuple[Offer, ...], machine: Machine, data: st.DataObject
) -> None:
    wanted = data.draw(st.sampled_from([None, *(one.facts.quantization for one in offers)]))
    ask = msgspec.structs.replace(ask, quantization=wanted)
    found = place(ask, offers, machine, EVERYTHING)
    assume(isinstance(found, Rejection))
    assert isinstance(found, Rejection)
    for missing in found.missing:
        assert missing.needed_bytes > missing.available_bytes
        assert missing.available_bytes == available_bytes(machine, ())[missing.device]
    for one in found.alternatives:
        assert one.ask != ask
        assert one.model is None
        again = place(one.ask, offers, machine, EVERYTHING)
        assert isinstance(again, Plan), (one, again.message)
    if "needs" in found.message and "capability" not in found.message:
        assert found.missing


@settings(max_examples=60)
@given(offers=models(), name=st.sampled_from(CARDS), ram=st.integers(32, 128))
def test_two_instances_on_two_equal_gpus_get_one_each(
    offers: tuple[Offer, ...], name: tuple[str, int, tuple[int, int]], ram: int
) -> None:
    two = tuple(machines.gpu(*name, index=index) for index in range(2))
    machine = machines.machine(*two, ram_gib=2 * ram, free_ram_gib=ram)
    plan = place(Ask(instances=2), offers, machine, EVERYTHING)
    assume(isinstance(plan, Plan))
    assert isinstance(plan, Plan)
    assume(len(plan.placements[0].devices) == 1)
    assert {one.device for one in plan.placements} == {one.uuid for one in two}


@settings(max_examples=60)
@given(offers=models(), machine=all_machines(), instances=st.integers(2, 4))
def test_instances_that_are_placed_one_by_one_fit_too(
    offers: tuple[Offer, ...], machine: Machine, instances: int
) -> None:
    plan = place(Ask(instances=instances), offers, machine, EVERYTHING)
    assume(isinstance(plan, Plan))
    assert isinstance(plan, Plan)
    options = plan.placements[0].options
    claims: list[Claim] = []
    for left in range(instances, 0, -1):
        ask = Ask(
            engine=plan.engine,
            context_length=options.context_length,
            slots=options.slots,
            instances=left,
            device=CPU if plan.placements[0].device == CPU else None,
        )
        rest = place(ask, (plan.offer,), machine, EVERYTHING, claims=claims)
        assert isinstance(rest, Plan), rest.message
        claims += [
            Claim(device=one.device, granted_bytes=one.total_bytes, used_bytes=0)
            for one in rest.placements[0].memory
        ]
