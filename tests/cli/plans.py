"""Plans of real decisions on named machines, as the management API would answer them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra_box.engines import ENGINES
from hydra_box.messages import PlanView
from hydra_box.models.shapes import Shape, shape_facts
from hydra_box.placer import Decision, Situation, decide
from hydra_box.plan_view import plan_view
from hydra_box.types import (
    LOCAL_ENGINES,
    Accelerator,
    Ask,
    Claim,
    Correction,
    EngineAvailability,
    Machine,
    Modality,
    Offer,
    WeightFormat,
)

BOTH = (Accelerator.CUDA, Accelerator.CPU)
INSTALLED = tuple(EngineAvailability(engine=one, accelerators=BOTH) for one in LOCAL_ENGINES)

QWEN3_8B = Shape(
    architecture="Qwen3ForCausalLM",
    gguf_architecture="qwen3",
    layers=36,
    embedding_length=4096,
    heads=32,
    kv_heads=8,
    head_length=128,
    feed_forward_length=12288,
    vocabulary_size=151936,
)
LLAMA_70B = Shape(
    architecture="LlamaForCausalLM",
    gguf_architecture="llama",
    layers=80,
    embedding_length=8192,
    heads=64,
    kv_heads=8,
    head_length=128,
    feed_forward_length=28672,
    vocabulary_size=128256,
)


def offers(shape: Shape, *kinds: tuple[WeightFormat, str]) -> tuple[Offer, ...]:
    """What a catalog entry of that shape would offer, none of it on this machine."""
    return tuple(
        Offer(
            facts=shape_facts(
                shape, format, quantization, modality=Modality.TEXT, context_length=40960
            ),
            path=None,
            repository="org/name",
        )
        for format, quantization in kinds
    )


BF16 = (WeightFormat.SAFETENSORS, "BF16")
Q8_0 = (WeightFormat.GGUF, "Q8_0")
Q4_K_M = (WeightFormat.GGUF, "Q4_K_M")
QWEN = offers(QWEN3_8B, BF16, Q8_0, Q4_K_M)
LLAMA = offers(LLAMA_70B, BF16, Q4_K_M)


def a_plan(
    model: str,
    offered: Sequence[Offer],
    machine: Machine,
    *,
    installed: Sequence[EngineAvailability] = INSTALLED,
    claims: tuple[Claim, ...] = (),
    correction: Correction | None = None,
    running: int = 0,
    **asked: Any,
) -> PlanView:
    """What is decided for a model on a machine."""
    ask = Ask(running=running, **asked)
    situation = Situation(machine=machine, claims=claims, engines=tuple(installed), corrections={})
    decision = Decision(result=decide(ask, offered, situation), situation=situation)
    return plan_view(model, ask, decision, ENGINES, correction, running=running)
