"""The nearest things that would fit, where what was asked for does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from hydra_box.plan.engine_choice import expects_gpu
from hydra_box.plan.engine_limits import NAMES, readable
from hydra_box.plan.quality import lesser
from hydra_box.plan.sizes import SHORTEST_CONTEXT_LENGTH
from hydra_box.plan.words import counted
from hydra_box.types import (
    CPU,
    Accelerator,
    Alternative,
    Ask,
    EngineName,
    Machine,
    Offer,
    Plan,
    Rejection,
)

MOST = 4
CONTEXT_STEP = 1024

Decide = Callable[[Ask], Plan | Rejection]


def alternatives(
    ask: Ask, machine: Machine, offers: Sequence[Offer], decide: Decide
) -> tuple[Alternative, ...]:
    """What to ask instead, the nearest first; each was placed on the same machine and fits.

    One thing is given up at a time: some context, some slots, some instances, the quantisation,
    the engine, the GPU. Only if none of that helps, all of it is given up at once.

    Args:
        ask: what does not fit.
        machine: with or without GPUs: without, there is none to give up.
        offers: those of the model, of which a plan does not choose the smallest by itself.
        decide: places an ask, without looking for alternatives.
    """
    found = [*_one_thing_less(ask, offers, decide)]
    on_gpu = ask.device != CPU and expects_gpu(machine)
    if on_gpu:
        found += _instead(ask, decide, device=CPU)
    if not found:
        found += _instead(ask, decide, **_NOTHING)
        if on_gpu:
            found += _instead(ask, decide, **_NOTHING, device=CPU)
    unique = dict.fromkeys(one for one in found if one.ask != ask)
    return tuple(unique)[:MOST]


_NOTHING: dict[str, int | None] = {
    "context_length": None,
    "slots": None,
    "quantization": None,
    "engine": None,
    "instances": 1,
}


def _one_thing_less(ask: Ask, offers: Sequence[Offer], decide: Decide) -> Iterator[Alternative]:
    if ask.context_length is not None:
        yield from _shorter_context(ask, decide)
    if ask.slots is not None:
        yield from _fewer(ask, decide, "slots", "slot")
    if ask.instances > 1:
        yield from _fewer(ask, decide, "instances", "more instance" if ask.running else "instance")
    if ask.quantization is not None:
        yield from _instead(ask, decide, quantization=None)
    else:
        yield from _lesser(ask, offers, decide)
    if ask.engine is not None:
        yield from _instead(ask, decide, engine=None)


def _lesser(ask: Ask, offers: Sequence[Offer], decide: Decide) -> Iterator[Alternative]:
    """The best quantisation that fits of those that a plan does not choose unasked."""
    gguf = readable(EngineName.LLAMA_CPP, offers)
    tries = (_instead(ask, decide, quantization=name) for name in lesser(ask, gguf))
    yield from next((one for one in tries if one), [])


def _shorter_context(ask: Ask, decide: Decide) -> Iterator[Alternative]:
    asked = ask.context_length or 0

    def at(steps: int) -> Ask:
        tokens = max(SHORTEST_CONTEXT_LENGTH, steps * CONTEXT_STEP)
        return msgspec.structs.replace(ask, context_length=min(tokens, asked))

    steps = _most(lambda one: isinstance(decide(at(one)), Plan), (asked - 1) // CONTEXT_STEP)
    if steps:
        found = at(steps)
        message = f"{found.context_length:,} tokens of context would fit"
        yield Alternative(ask=found, message=message)


def _fewer(ask: Ask, decide: Decide, field: str, noun: str) -> Iterator[Alternative]:
    def at(number: int) -> Ask:
        return msgspec.structs.replace(ask, **{field: number})

    asked: int = getattr(ask, field)
    number = _most(lambda one: isinstance(decide(at(one)), Plan), asked - 1)
    if number:
        yield Alternative(ask=at(number), message=f"{counted(number, noun)} would fit")


def _instead(ask: Ask, decide: Decide, **changes: object) -> list[Alternative]:
    """The changed ask with what was chosen for it, if that fits."""
    changed = msgspec.structs.replace(ask, **changes)
    if changed == ask:
        return []
    plan = decide(changed)
    if not isinstance(plan, Plan):
        return []
    facts = plan.offer.facts
    if "engine" in changes or "quantization" in changes:
        changed = msgspec.structs.replace(
            changed, engine=plan.engine, quantization=facts.quantization
        )
        # What was chosen may have been chosen for its format: ask for it by name, and look again.
        if not isinstance(decide(changed), Plan):
            return []
    first = plan.placements[0]
    where = " on the CPU" if first.accelerator is Accelerator.CPU else ""
    if 0 < first.options.gpu_layers <= len(facts.layers):
        where = " partly on the CPU"
    what = f" {facts.quantization}" if facts.quantization else ""
    size = f"{first.options.context_length:,} tokens of context"
    many = f", {counted(len(plan.placements), 'instance')}" if ask.instances > 1 else ""
    message = f"{NAMES[plan.engine]}{what}{where} with {size}{many} would fit"
    return [Alternative(ask=changed, message=message)]


def _most(holds: Callable[[int], bool], highest: int) -> int:
    """The highest number from 1 on for which it holds, given that it holds for all below; or 0."""
    low, high = 0, highest
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
