"""Where well-known models run on machines that people have, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hydra_box.errors import InvalidRequest
from hydra_box.plan import layout
from hydra_box.plan.memory import estimate
from hydra_box.plan.placement import place
from hydra_box.types import (
    Accelerator,
    Ask,
    DeviceMemory,
    EngineName,
    Machine,
    Modality,
    Offer,
    Plan,
    PlanOutcome,
)
from tests import machines
from tests.plan import known_models as known
from tests.plan.making import (
    EVERYTHING,
    GIB,
    gguf,
    installed,
    plan_of,
    rejection_of,
    safetensors,
)

LLAMA, VLLM = EngineName.LLAMA_CPP, EngineName.VLLM
CPU, CUDA = Accelerator.CPU, Accelerator.CUDA
HALF = machines.two_rtx_3090_one_half_occupied


# What an operator would choose: engine, quantisation, GPUs, all layers on them.
EXPECTED = [
    (known.qwen3_06b, machines.cpu_only, LLAMA, "Q8_0", 0, False),
    (known.qwen3_06b, machines.one_gtx_1660, LLAMA, "Q8_0", 1, True),
    (known.qwen3_06b, machines.one_rtx_4090, VLLM, "BF16", 1, True),
    (known.qwen3_8b, machines.cpu_only, LLAMA, "Q4_K_M", 0, False),
    (known.qwen3_8b, machines.one_gtx_1660, LLAMA, "Q4_K_M", 1, False),
    (known.qwen3_8b, machines.one_rtx_4090, VLLM, "BF16", 1, True),
    (known.qwen3_8b, HALF, VLLM, "BF16", 1, True),
    (known.qwen3_8b, machines.eight_h200, VLLM, "BF16", 1, True),
    (known.qwen3_14b, machines.one_rtx_3060, LLAMA, "Q4_K_M", 1, True),
    (known.qwen3_32b, machines.one_rtx_3060, LLAMA, "Q4_K_M", 1, False),
    (known.qwen3_32b, machines.one_rtx_4090, LLAMA, "Q4_K_M", 1, True),
    (known.qwen3_32b, machines.one_l40s, VLLM, "FP8", 1, True),
    (known.qwen3_32b, machines.one_h200, VLLM, "BF16", 1, True),
    (known.qwen3_30b_a3b, machines.one_rtx_3060, LLAMA, "Q4_K_M", 1, False),
    (known.qwen3_30b_a3b, machines.one_rtx_4090, LLAMA, "Q4_K_M", 1, True),
    (known.llama_70b, machines.one_rtx_4090, LLAMA, "Q4_K_M", 1, False),
    (known.llama_70b, HALF, LLAMA, "Q4_K_M", 2, False),
    (known.llama_70b, machines.one_l40s, LLAMA, "Q4_K_M", 1, True),
    (known.llama_70b, machines.one_h200, VLLM, "FP8", 1, True),
    (known.gemma3_27b, machines.one_rtx_4090, LLAMA, "Q4_K_M", 1, True),
    (known.gpt_oss_20b, machines.one_rtx_4090, VLLM, "MXFP4", 1, True),
    (known.gpt_oss_120b, machines.one_h200, VLLM, "MXFP4", 1, True),
    (known.deepseek_r1, machines.eight_h200, VLLM, "FP8", 8, True),
    (known.bge_m3, machines.cpu_only, LLAMA, "Q8_0", 0, False),
    (known.bge_m3, machines.one_rtx_3060, LLAMA, "Q8_0", 1, True),
    (known.bge_m3, machines.one_h200, VLLM, "F32", 1, True),
]


@pytest.mark.parametrize(
    ("model", "machine", "engine", "quantization", "gpus", "whole"),
    EXPECTED,
    ids=[f"{case[0].__name__}-{case[1].__name__}" for case in EXPECTED],
)
def test_what_an_operator_would_choose(
    model: Callable[[], tuple[Offer, ...]],
    machine: Callable[[], Machine],
    engine: EngineName,
    quantization: str,
    gpus: int,
    whole: bool,
) -> None:
    plan = plan_of(model(), machine())
    first = plan.placements[0]
    assert (plan.engine, plan.offer.facts.quantization) == (engine, quantization)
    assert len([one for one in first.devices if one != "cpu"]) == gpus
    assert plan.outcome is PlanOutcome.FITS
    assert first.options.context_length >= min(
        8192,
        plan.offer.facts.context_length,
        2048 if plan.offer.facts.modality is Modality.EMBEDDING else 8192,
    )
    if engine is LLAMA:
        assert (first.options.gpu_layers > len(plan.offer.facts.layers)) is whole
    else:
        assert first.options.tensor_parallel == max(1, gpus)


@pytest.mark.parametrize(
    "machine", [one for name, one in machines.NAMED.items() if name != "8 x H200"]
)
def test_deepseek_r1_is_refused_below_eight_h200(machine: Callable[[], Machine]) -> None:
    found = rejection_of(known.deepseek_r1(), machine())
    assert found.missing
    assert "needs" in found.message


def test_the_memory_of_a_plan_is_the_estimate_of_its_options() -> None:
    for model in known.KNOWN.values():
        plan = plan_of(model(), machines.eight_h200())
        for one in plan.placements:
            assert one.memory == estimate(
                plan.offer.facts, one.engine, one.accelerator, one.devices, one.options
            )


def test_the_reasons_of_a_plan() -> None:
    plan = plan_of(known.qwen3_8b("Q4_K_M"), machines.one_gtx_1660())
    assert plan.reasons[0] == (
        "llama.cpp, because GTX 1660 has compute capability 7.5, and vLLM is at its best from "
        "8.0 on"
    )
    assert plan.reasons[1].startswith("Q4_K_M, which is on this machine already: 4.7 GiB")
    assert plan.reasons[2] == "8,192 tokens of context; 1 slot"
    assert "sizes computed from the catalog's numbers" in plan.reasons[3]
    assert plan.reasons[-1].startswith("on GPU 0 (GTX 1660): ")
    assert "of 37 layers there, the rest on the CPU" in plan.reasons[-1]


def test_the_reasons_of_a_plan_over_many_gpus() -> None:
    plan = plan_of(known.deepseek_r1(), machines.eight_h200())
    assert plan.reasons[1] == "FP8, the only safetensors on offer: 626.9 GiB of weights"
    assert "on each GPU" in plan.reasons[2]
    assert plan.reasons[-1].startswith("on GPUs 0, 1, 2, 3, 4, 5, 6 and 7 (H200): ")
    assert plan.reasons[-1].endswith("8 tensor parallel ranks over NVLink")


def test_a_vision_model_without_its_projector_is_text_only() -> None:
    plan = plan_of((gguf(modality=Modality.VISION),), machines.one_rtx_4090())
    assert "text only: there is no projector file (mmproj) for images" in plan.reasons


# --- what was asked for ---------------------------------------------------------------------


def test_what_was_asked_for_is_obeyed() -> None:
    ask = Ask(engine=LLAMA, quantization="q6_k", context_length=20_000, slots=2, instances=2)
    plan = plan_of(known.qwen3_8b(), machines.eight_h200(), ask)
    assert plan.engine is LLAMA
    assert plan.offer.facts.quantization == "Q6_K"
    assert len(plan.placements) == 2
    for one in plan.placements:
        assert (one.options.context_length, one.options.slots) == (20_000, 2)
    assert plan.reasons[0] == "llama.cpp, as asked"
    assert plan.reasons[1].startswith("Q6_K, as asked")
    assert plan.reasons[2] == "20,000 tokens of context, as asked; 2 slots, as asked"


def test_the_cpu_is_used_where_it_is_asked_for() -> None:
    plan = plan_of(known.qwen3_8b(), machines.one_rtx_4090(), Ask(device="cpu"))
    first = plan.placements[0]
    assert (first.device, first.accelerator, first.options.gpu_layers) == ("cpu", CPU, 0)
    assert first.options.threads == 16


def test_vllm_on_the_cpu_by_name() -> None:
    offers = (safetensors("BF16", 2 * GIB), gguf())
    plan = plan_of(offers, machines.cpu_only(), Ask(engine=VLLM, context_length=2048, slots=1))
    assert (plan.engine, plan.placements[0].device) == (VLLM, "cpu")
    assert plan.placements[0].options.kv_cache_bytes > 0


@pytest.mark.parametrize(
    ("ask", "param"),
    [
        (Ask(context_length=50_000), "context_length"),
        (Ask(context_length=0), "context_length"),
        (Ask(slots=0), "concurrency"),
        (Ask(instances=0), "instances"),
        (Ask(instances=65), "instances"),
        (Ask(quantization="Q1_X"), "quantization"),
        (Ask(device="GPU-1"), "device"),
    ],
)
def test_what_is_impossible_anywhere(ask: Ask, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        place(ask, known.qwen3_8b(), machines.eight_h200(), EVERYTHING)
    assert caught.value.param == param


def test_an_unknown_quantization_names_those_on_offer() -> None:
    with pytest.raises(InvalidRequest) as caught:
        place(Ask(quantization="Q9"), known.bge_m3(), machines.cpu_only(), EVERYTHING)
    assert caught.value.hint == "on offer: F32, F16, Q8_0"


def test_nothing_on_offer() -> None:
    with pytest.raises(InvalidRequest, match="no weights on offer"):
        place(Ask(), (), machines.cpu_only(), EVERYTHING)


# --- what is installed ----------------------------------------------------------------------


def test_an_engine_that_is_installed_takes_the_place_of_one_that_is_not() -> None:
    found = place(
        Ask(), known.qwen3_8b(), machines.one_rtx_4090(), installed((LLAMA, CPU), (LLAMA, CUDA))
    )
    assert isinstance(found, Plan)
    assert (found.engine, found.outcome) == (LLAMA, PlanOutcome.FITS)
    assert found.reasons[0] == "llama.cpp, because it is installed"
    assert "vLLM would serve it better: hydra-box engines install vllm" in found.reasons


@pytest.mark.parametrize("available", [(), installed((LLAMA, CPU)), installed((VLLM, CPU))])
def test_the_cpu_runtime_does_not_take_the_place_of_the_gpu(available: object) -> None:
    assert isinstance(available, tuple)
    found = place(Ask(), known.qwen3_8b(), machines.one_rtx_3060(), available)
    assert isinstance(found, Plan)
    assert found.outcome is PlanOutcome.INSTALL_FIRST
    assert found.placements[0].accelerator is CUDA
    assert (
        "llama.cpp has no usable runtime for this machine's GPUs: "
        "hydra-box engines install llama.cpp"
    ) in found.reasons


def test_an_engine_by_name_has_to_be_installed() -> None:
    found = place(Ask(engine=VLLM), known.qwen3_8b(), machines.one_h200(), installed((LLAMA, CUDA)))
    assert isinstance(found, Plan)
    assert (found.engine, found.outcome) == (VLLM, PlanOutcome.INSTALL_FIRST)


def test_without_any_runtime_the_cpu_plan_says_what_to_install() -> None:
    found = place(Ask(), known.qwen3_06b(), machines.cpu_only(), ())
    assert isinstance(found, Plan)
    assert found.outcome is PlanOutcome.INSTALL_FIRST
    assert any("for the CPU: hydra-box engines install llama.cpp" in one for one in found.reasons)


def test_9c_vllm_with_a_small_kv_cache_before_a_refusal() -> None:
    machine = machines.machine(
        machines.gpu("NVIDIA GeForce RTX 4090", 24_564, (8, 9)), ram_gib=16, free_ram_gib=12
    )
    offers = (safetensors("FP8", 20 * GIB), gguf("F16", 60 * GIB))
    plan = plan_of(offers, machine)
    assert plan.engine is VLLM
    assert plan.placements[0].options.slots < 4
    assert plan.reasons[0] == "vLLM with a small KV cache, because no GGUF on offer fits"


def test_a_plan_is_found_with_few_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def counted(*args: Any, **kwargs: Any) -> tuple[DeviceMemory, ...]:
        nonlocal calls
        calls += 1
        return estimate(*args, **kwargs)

    monkeypatch.setattr(layout, "estimate", counted)
    worst = {}
    for machine in machines.NAMED.values():
        for name, model in known.KNOWN.items():
            calls = 0
            place(Ask(), model(), machine(), EVERYTHING)
            worst[machine.__name__, name] = calls
    # An estimate takes about 0.1 ms: a catalog of 60 models is listed in well under a second.
    assert max(worst.values()) < 150, worst
    assert sum(worst.values()) / len(worst) < 30
