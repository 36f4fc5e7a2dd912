"""What would fit, where what was asked for does not."""

from __future__ import annotations

import re

import msgspec
import pytest

from hydra_box.plan.other_models import other_models
from hydra_box.plan.placement import place
from hydra_box.types import (
    Alternative,
    Ask,
    EngineName,
    GpuCondition,
    Machine,
    Modality,
    ModelSpec,
    Offer,
    Plan,
    Rejection,
)
from tests import machines
from tests.plan import known_models as known
from tests.plan.making import EVERYTHING, GIB, gguf, safetensors

LLAMA, VLLM = EngineName.LLAMA_CPP, EngineName.VLLM


def alternatives(ask: Ask, offers: tuple[Offer, ...], machine: Machine) -> tuple[Alternative, ...]:
    """Those of a rejection; each is placed again, and fits."""
    found = place(ask, offers, machine, EVERYTHING)
    assert isinstance(found, Rejection)
    for one in found.alternatives:
        again = place(one.ask, offers, machine, EVERYTHING)
        assert isinstance(again, Plan), (one, again.message)
    return found.alternatives


def test_a_shorter_context() -> None:
    ask = Ask(quantization="Q4_K_M", context_length=40_000, slots=8, device="cpu")
    first = alternatives(ask, known.qwen3_8b(), machines.cpu_only())[0]
    assert first.ask.context_length is not None
    assert first.ask.context_length < 40_000
    assert first.ask == msgspec.structs.replace(ask, context_length=first.ask.context_length)
    assert first.message == f"{first.ask.context_length:,} tokens of context would fit"
    larger = msgspec.structs.replace(ask, context_length=first.ask.context_length + 1024)
    assert isinstance(place(larger, known.qwen3_8b(), machines.cpu_only(), EVERYTHING), Rejection)


def test_fewer_slots() -> None:
    ask = Ask(context_length=8192, slots=64, engine=LLAMA, quantization="Q4_K_M")
    found = alternatives(ask, known.qwen3_8b(), machines.one_rtx_3060())
    fewer = next(one for one in found if one.ask.slots != 64)
    assert fewer.ask.context_length == 8192
    assert fewer.message == f"{fewer.ask.slots} slots would fit"


def test_fewer_instances() -> None:
    offers, machine = known.qwen3_32b(), machines.one_h200()
    first = alternatives(Ask(instances=30, engine=VLLM), offers, machine)[0]
    assert first.message == f"{first.ask.instances} instances would fit"
    more = msgspec.structs.replace(first.ask, instances=first.ask.instances + 1)
    assert isinstance(place(more, offers, machine, EVERYTHING), Rejection)


def test_instances_beside_those_that_run_are_more_of_them() -> None:
    ask = Ask(instances=40, running=2)
    refused = place(ask, (gguf(),), machines.one_rtx_4090(), EVERYTHING)
    assert isinstance(refused, Rejection)
    assert re.search(r"fits \d+ times? more, and 40 more instances are asked for", refused.message)
    assert re.fullmatch(r"\d+ more instances? would fit", refused.alternatives[0].message)


def test_another_quantization() -> None:
    ask = Ask(quantization="BF16")
    found = alternatives(ask, known.qwen3_8b(), machines.one_rtx_3060())
    assert (found[0].ask.engine, found[0].ask.quantization) == (LLAMA, "Q6_K")
    assert found[0].message == "llama.cpp Q6_K with 8,192 tokens of context would fit"


def test_a_quantization_that_no_plan_chooses_unasked() -> None:
    found = alternatives(Ask(), known.qwen3_32b(), machines.cpu_only())
    assert found[0].ask.quantization == "Q2_K"


def test_another_engine() -> None:
    found = alternatives(Ask(engine=VLLM), known.llama_70b(), machines.one_rtx_4090())
    assert found[0].ask.engine is LLAMA
    assert "llama.cpp Q4_K_M partly on the CPU" in found[0].message


def test_the_format_that_an_engine_cannot_read() -> None:
    ask = Ask(engine=VLLM, quantization="Q4_K_M")
    found = place(ask, known.qwen3_8b(), machines.one_h200(), EVERYTHING)
    assert isinstance(found, Rejection)
    assert found.missing == ()
    engines = {(one.ask.engine, one.ask.quantization) for one in found.alternatives}
    assert engines == {(VLLM, "BF16"), (LLAMA, "Q4_K_M")}


def test_the_cpu() -> None:
    machine = machines.machine(
        machines.gpu("NVIDIA T400", 2048, (7, 5)), ram_gib=64, free_ram_gib=60
    )
    found = alternatives(Ask(), known.qwen3_32b(), machine)
    assert found[-1].ask.device == "cpu"
    assert found[-1].message == "llama.cpp Q4_K_M on the CPU with 8,192 tokens of context would fit"


@pytest.mark.parametrize(
    "condition",
    [one for one in GpuCondition if one not in {GpuCondition.NO_DRIVER, GpuCondition.NO_DEVICE}],
)
def test_the_cpu_while_a_gpu_cannot_be_used(condition: GpuCondition) -> None:
    machine = msgspec.structs.replace(machines.cpu_only(), gpu_condition=condition)
    found = alternatives(Ask(), known.qwen3_8b(), machine)
    assert [one.ask for one in found] == [Ask(device="cpu")]


def test_all_at_once_where_one_thing_less_does_not_help() -> None:
    ask = Ask(engine=VLLM, quantization="BF16", context_length=40_000, slots=256, instances=4)
    found = alternatives(ask, known.qwen3_8b(), machines.one_gtx_1660())
    assert found[0].ask.instances == 1
    assert found[0].ask.engine is LLAMA


def test_vllm_on_the_cpu_is_never_suggested_unasked() -> None:
    offers = (safetensors("BF16", 2 * GIB),)
    assert alternatives(Ask(), offers, machines.cpu_only()) == ()


def test_no_alternative_where_nothing_fits() -> None:
    offers = tuple(one for one in known.deepseek_r1() if one.facts.quantization == "FP8")
    assert alternatives(Ask(), offers, machines.one_rtx_4090()) == ()


def test_at_most_four() -> None:
    ask = Ask(engine=LLAMA, quantization="Q8_0", context_length=40_000, slots=16, instances=3)
    assert 1 <= len(alternatives(ask, known.qwen3_8b(), machines.one_rtx_3060())) <= 4


# --- other models ---------------------------------------------------------------------------


def spec(id: str, size_gib: int, *tags: str, modality: Modality = Modality.TEXT) -> ModelSpec:
    return ModelSpec(
        id=id,
        name=id,
        modality=modality,
        context_length=32_768,
        parameters=size_gib * 1_800_000_000,
        tags=tags,
        offers=(gguf("Q4_K_M", size_gib * GIB, modality=modality),),
    )


R1 = spec("deepseek-r1", 400, "reasoning")
CATALOG = (
    R1,
    spec("llama-3.3-70b", 40),
    spec("qwen3-8b", 5, "reasoning"),
    spec("deepseek-r1-distill-llama-70b", 41, "reasoning"),
    spec("deepseek-r1-distill-qwen-14b", 9, "reasoning"),
    spec("deepseek-r1-distill-qwen-32b", 19, "reasoning"),
    spec("deepseek-ocr", 3, modality=Modality.VISION),
)


def near(wanted: ModelSpec, machine: Machine) -> list[str | None]:
    found = other_models(wanted, CATALOG, lambda one: place(Ask(), one.offers, machine, EVERYTHING))
    return [one.model for one in found]


def test_the_nearest_other_models_are_of_the_same_family_and_fit() -> None:
    family = "deepseek-r1-distill"
    assert near(R1, machines.one_l40s()) == [f"{family}-llama-70b", f"{family}-qwen-32b"]
    assert near(R1, machines.cpu_only()) == [f"{family}-qwen-14b", "qwen3-8b"]


def test_another_model_is_named_with_what_it_would_get() -> None:
    found = other_models(
        R1, CATALOG, lambda one: place(Ask(), one.offers, machines.cpu_only(), EVERYTHING)
    )
    assert found[1].message == "qwen3-8b Q4_K_M with 8,192 tokens of context and 2 slots would fit"
    assert found[1].ask == Ask()
