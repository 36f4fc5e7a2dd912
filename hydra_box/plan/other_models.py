"""Other base models that would fit, where a model fits in no way."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hydra_box.plan.words import counted
from hydra_box.types import Alternative, Ask, ModelSpec, Plan, Rejection

MOST = 2

Decide = Callable[[ModelSpec], Plan | Rejection]


def other_models(
    wanted: ModelSpec, models: Sequence[ModelSpec], decide: Decide
) -> tuple[Alternative, ...]:
    """The nearest models of the same modality that fit here, at most two.

    Nearest by the words that the names share (``deepseek``, ``r1``), then by the tags, then the
    largest.

    Args:
        wanted: the model that does not fit.
        models: those to choose from.
        decide: places a model as it would be if nothing were asked for.
    """
    found: list[Alternative] = []
    candidates = [one for one in models if one.id != wanted.id and one.modality is wanted.modality]
    for model in sorted(candidates, key=lambda one: _distance(wanted, one)):
        plan = decide(model)
        if isinstance(plan, Plan):
            found.append(_alternative(model, plan))
        if len(found) == MOST:
            break
    return tuple(found)


def _distance(wanted: ModelSpec, other: ModelSpec) -> tuple[int, int, int, str]:
    words = len(_words(wanted) & _words(other))
    tags = len(set(wanted.tags) & set(other.tags))
    return -words, -tags, -(other.parameters or 0), other.id


def _words(model: ModelSpec) -> set[str]:
    """The words of a name without sizes, which say nothing of the family."""
    words = re.findall(r"[a-z]+\d*|\d+(?:\.\d+)?[a-z]*", f"{model.id} {model.name}".lower())
    return {one for one in words if not re.fullmatch(r"\d+(\.\d+)?[bm]?", one)}


def _alternative(model: ModelSpec, plan: Plan) -> Alternative:
    first = plan.placements[0]
    kind = f" {plan.offer.facts.quantization}" if plan.offer.facts.quantization else ""
    size = f"{first.options.context_length:,} tokens of context"
    slots = counted(first.options.slots, "slot")
    message = f"{model.id}{kind} with {size} and {slots} would fit"
    return Alternative(ask=Ask(), model=model.id, message=message)
