"""Context, slots, prefill step and threads, where nobody said."""

from __future__ import annotations

import msgspec

from hydra_box.plan.placement import place
from hydra_box.types import (
    Ask,
    EngineName,
    Rejection,
)
from tests import machines
from tests.plan import known_models as known
from tests.plan.making import (
    EVERYTHING,
    GIB,
    gguf,
    plan_of,
)

LLAMA, VLLM = EngineName.LLAMA_CPP, EngineName.VLLM


def test_a_small_model_leaves_room_for_another() -> None:
    machine = machines.one_rtx_4090()
    plan = plan_of(known.qwen3_06b(), machine)
    assert plan.placements[0].memory[0].total_bytes < 14 * GIB
    assert plan.placements[0].options.context_length > 8192


def test_vllm_holds_four_full_contexts_and_a_kilotoken_in_each_slot() -> None:
    offers, machine = known.qwen3_8b(), machines.one_h200()
    token = 2 * 36 * 8 * 128 * 2
    for slots, tokens in ((1, 16_384), (4, 4 * 16_384), (32, 4 * 16_384), (128, 128 * 1024)):
        ask = Ask(engine=VLLM, quantization="BF16", context_length=16_384, slots=slots)
        kv = plan_of(offers, machine, ask).placements[0].options.kv_cache_bytes
        assert tokens * token <= kv <= 1.1 * tokens * token


def test_an_encoder_needs_no_kv_cache_and_one_batch() -> None:
    options = plan_of(known.bge_m3(), machines.one_h200()).placements[0].options
    assert options.kv_cache_bytes == 0
    assert options.batch_tokens >= options.context_length


def test_an_embedding_input_fits_one_batch_of_llama_cpp() -> None:
    plan = plan_of(known.bge_m3(), machines.cpu_only())
    options = plan.placements[0].options
    assert options.batch_tokens == options.context_length == 2048
    assert "2,048 tokens of context, what an embedding's one batch holds" in plan.reasons[2]
    longer = plan_of(known.bge_m3(), machines.cpu_only(), Ask(context_length=8192))
    assert "an input may have 2,048 tokens, one batch" in longer.reasons


def test_threads_are_shared_by_instances() -> None:
    offers, machine = known.qwen3_06b(), machines.cpu_only()
    ask = Ask(instances=2, context_length=4096, slots=1)
    assert plan_of(offers, machine, ask).placements[0].options.threads == 3
    third = Ask(instances=1, running=2, context_length=4096, slots=1)
    assert plan_of(offers, machine, third).placements[0].options.threads == 2
    partly = plan_of(known.qwen3_8b(), machines.one_gtx_1660())
    assert partly.placements[0].options.threads == 6


def test_a_tiny_model_has_one_thread() -> None:
    tiny = gguf("F16", GIB // 100)
    offer = msgspec.structs.replace(
        tiny, facts=msgspec.structs.replace(tiny.facts, embedding_length=192)
    )
    options = plan_of((offer,), machines.cpu_only()).placements[0].options
    assert options.threads == 1
    assert options.batch_tokens == 2048


def test_a_plan_can_be_repeated_by_what_it_chose() -> None:
    for model in known.KNOWN.values():
        for machine in machines.NAMED.values():
            found = place(Ask(), model(), machine(), EVERYTHING)
            if isinstance(found, Rejection):
                continue
            options = found.placements[0].options
            again = Ask(
                engine=found.engine,
                context_length=options.context_length,
                slots=options.slots,
                instances=len(found.placements),
            )
            assert plan_of((found.offer,), machine(), again).offer == found.offer
