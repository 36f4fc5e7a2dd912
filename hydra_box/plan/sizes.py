"""How large an instance is: what may be asked for, and what is useful where nothing is asked.

A context that was not asked for is ``USEFUL_CONTEXT`` tokens, more where there is room to spare,
and less, down to ``SHORTEST_CHOSEN_CONTEXT``, before a model is refused.
"""

from __future__ import annotations

from hydra_box.errors import InvalidRequest
from hydra_box.plan.words import counted
from hydra_box.types import Ask, Modality, ModelFacts

USEFUL_CONTEXT = 8192
"""A conversation with a document in it."""
LONGEST_CHOSEN_CONTEXT = 32_768
"""Beyond it memory is better spent on more sequences; who wants more asks for it."""
MIDDLE_CONTEXT = 4096
SHORTEST_CHOSEN_CONTEXT = 2048
"""A question and its answer."""
SHORTEST_CONTEXT_LENGTH = 64
DEFAULT_SLOTS = 4
MOST_SLOTS = 256
MOST_INSTANCES = 64

VECTOR_MODALITIES = (Modality.EMBEDDING, Modality.RERANK)
LONGEST_VECTOR_INPUT = 2048
"""llama.cpp computes an embedding in one micro-batch, whose buffers grow with its square."""


def check_context_length(requested: int | None, trained: int) -> None:
    """Return if a context of that many tokens is possible for a model.

    Args:
        requested: what the owner asks for; None: the plan chooses.
        trained: the longest sequence the model was trained for, in tokens.

    Raises:
        InvalidRequest: it is longer than the model was trained for, or too short to be useful.
    """
    if requested is None:
        return
    if requested > trained:
        raise InvalidRequest(
            f"a context of {requested:,} tokens is longer than the {trained:,} that the model "
            "was trained for",
            hint=f"ask for {trained:,} or fewer",
            param="context_length",
        )
    shortest = min(SHORTEST_CONTEXT_LENGTH, trained)
    if requested < shortest:
        raise InvalidRequest(
            f"a context of {counted(requested, 'token')} holds no conversation",
            hint=f"ask for {shortest} to {trained:,}",
            param="context_length",
        )


def check_slots(requested: int | None) -> None:
    """Return if that many concurrent sequences in one instance are possible.

    Raises:
        InvalidRequest: they are not between 1 and 256.
    """
    if requested is not None and not 1 <= requested <= MOST_SLOTS:
        raise InvalidRequest(
            f"a concurrency of {requested} is not possible",
            hint=f"ask for 1 to {MOST_SLOTS} sequences at once in each instance",
            param="concurrency",
        )


def check_instances(target: int) -> int:
    """The number of instances, if it is possible.

    Raises:
        InvalidRequest: it is not between 1 and 64.
    """
    if not 1 <= target <= MOST_INSTANCES:
        raise InvalidRequest(
            f"{target} instances are not possible",
            hint=f"ask for 1 to {MOST_INSTANCES}; to run none, stop the service",
            param="instances",
        )
    return target


def useful_context(ask: Ask, facts: ModelFacts, longest: int = USEFUL_CONTEXT) -> int:
    """The context to begin with, in tokens: what is asked for, else a useful one."""
    return ask.context_length or min(facts.context_length, longest)


def longer_contexts(ask: Ask, facts: ModelFacts, context: int) -> tuple[int, ...]:
    """Contexts to grow to where there is room, the longest first; none if one was asked for.

    Embeddings are made of passages, which are short.
    """
    if ask.context_length is not None or facts.modality in VECTOR_MODALITIES:
        return ()
    wished = (LONGEST_CHOSEN_CONTEXT, LONGEST_CHOSEN_CONTEXT // 2)
    found = dict.fromkeys(min(facts.context_length, one) for one in wished)
    return tuple(one for one in found if one > context)


def shorter_contexts(ask: Ask, context: int) -> tuple[int, ...]:
    """Contexts to shrink to before refusing, the longest first; none if one was asked for."""
    if ask.context_length is not None:
        return ()
    return tuple(one for one in (MIDDLE_CONTEXT, SHORTEST_CHOSEN_CONTEXT) if one < context)


def fewer_slots(ask: Ask) -> tuple[int, ...]:
    """Numbers of slots to shrink to, the most first; none if a number was asked for."""
    return () if ask.slots is not None else tuple(range(DEFAULT_SLOTS - 1, 0, -1))
