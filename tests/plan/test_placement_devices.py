"""Which devices instances get, and how they share them."""

from __future__ import annotations

import msgspec

from hydra_box.plan.availability import available_bytes
from hydra_box.plan.correction import correction_id
from hydra_box.plan.placement import place
from hydra_box.types import (
    Accelerator,
    Ask,
    Claim,
    EngineName,
    Plan,
)
from tests import machines
from tests.plan import known_models as known
from tests.plan.making import (
    EVERYTHING,
    GIB,
    gguf,
    plan_of,
    rejection_of,
    safetensors,
)

LLAMA, VLLM = EngineName.LLAMA_CPP, EngineName.VLLM
CPU = Accelerator.CPU


def test_two_instances_on_two_equal_gpus_get_one_each() -> None:
    two = tuple(
        machines.gpu("NVIDIA GeForce RTX 3090", 24_576, (8, 6), index=index) for index in (0, 1)
    )
    machine = machines.machine(*two, ram_gib=64, free_ram_gib=55)
    plan = plan_of(known.qwen3_8b(), machine, Ask(instances=2))
    assert {one.device for one in plan.placements} == {one.uuid for one in two}
    assert plan.most_instances == 2


def test_an_instance_goes_where_no_other_is() -> None:
    machine = machines.eight_h200()
    taken = machine.gpus[0].uuid
    claim = Claim(device=taken, granted_bytes=GIB, used_bytes=GIB)
    plan = plan_of(known.qwen3_8b(), machine, claims=(claim,))
    assert plan.placements[0].device == machine.gpus[1].uuid


def test_claims_take_room() -> None:
    machine = machines.one_rtx_4090()
    claim = Claim(device=machine.gpus[0].uuid, granted_bytes=12 * GIB, used_bytes=0)
    plan = plan_of(known.qwen3_8b(), machine, claims=(claim,))
    taken = plan.placements[0].memory[0].total_bytes
    assert taken <= available_bytes(machine, (claim,))[machine.gpus[0].uuid]
    assert plan.engine is LLAMA, "BF16 would fit an empty GPU only"


def test_a_correction_makes_the_estimate_larger() -> None:
    name = correction_id(LLAMA, "qwen3", CPU)
    offers, machine = known.qwen3_06b(), machines.cpu_only()
    ask = Ask(context_length=4096, slots=2)
    plain = plan_of(offers, machine, ask).placements[0]
    found = place(ask, offers, machine, EVERYTHING, corrections={name: 1.5})
    assert isinstance(found, Plan)
    corrected = found.placements[0]
    assert corrected.correction_factor == 1.5
    assert corrected.architecture == "qwen3"
    assert corrected.memory[0].total_bytes > plain.memory[0].total_bytes
    assert corrected.memory[0].weights_bytes == plain.memory[0].weights_bytes


def test_tensor_parallel_needs_equal_gpus_and_divides_the_heads() -> None:
    big = (safetensors("BF16", 60 * GIB),)
    pair = [
        machines.gpu("A100", 40_960, (8, 0), index=index, nvlink=(1 - index,)) for index in (0, 1)
    ]
    plan = plan_of(big, machines.machine(*pair, ram_gib=256, free_ram_gib=200))
    assert plan.placements[0].options.tensor_parallel == 2
    assert plan.reasons[-1].endswith("2 tensor parallel ranks over NVLink")
    mixed = [pair[0], machines.gpu("A40", 40_960, (8, 6), index=1)]
    assert rejection_of(big, machines.machine(*mixed, ram_gib=256, free_ram_gib=200)).missing
    odd = tuple(
        msgspec.structs.replace(one, facts=msgspec.structs.replace(one.facts, heads=25))
        for one in big
    )
    assert rejection_of(odd, machines.machine(*pair, ram_gib=256, free_ram_gib=200)).missing


def test_quantised_blocks_are_not_cut() -> None:
    moe = tuple(one for one in known.qwen3_30b_a3b() if one.facts.quantization == "FP8")
    four = [machines.gpu("RTX A4000", 16_376, (8, 6), index=index) for index in range(4)]
    machine = machines.machine(*four, ram_gib=256, free_ram_gib=200)
    # 768 columns an expert: 2 ranks get 384, 3 blocks of 128; 4 ranks would get one and a half.
    assert rejection_of(moe, machine).missing


def test_llama_cpp_splits_over_unequal_gpus() -> None:
    gpus = (
        machines.gpu("NVIDIA GeForce RTX 4090", 24_564, (8, 9)),
        machines.gpu("NVIDIA GeForce RTX 3060", 12_288, (8, 6), index=1),
    )
    machine = machines.machine(*gpus, ram_gib=64, free_ram_gib=55)
    plan = plan_of((gguf("Q5_K_M", 28 * GIB),), machine)
    first = plan.placements[0]
    assert first.devices == (gpus[0].uuid, gpus[1].uuid)
    assert sum(first.options.split) == first.options.gpu_layers == 33
    assert first.options.split[0] > first.options.split[1]
    assert plan.reasons[-1].endswith("layers split over them")


def test_mig_instances_stay_apart() -> None:
    parts = [
        msgspec.structs.replace(
            machines.gpu("NVIDIA H200 MIG 3g.71gb", 71_000, (9, 0), index=0),
            uuid=f"MIG-{index}",
            parent_uuid="GPU-parent",
            mig_profile="3g.71gb",
        )
        for index in range(2)
    ]
    machine = machines.machine(*parts, ram_gib=256, free_ram_gib=200)
    assert plan_of(known.qwen3_32b(), machine).placements[0].device in {"MIG-0", "MIG-1"}
    assert rejection_of((safetensors("BF16", 100 * GIB),), machine).missing
