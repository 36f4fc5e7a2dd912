"""How large an instance is, where its owner did not say."""

from __future__ import annotations

from hydra_box.errors import InvalidRequest

DEFAULT_CONTEXT_LENGTH = 8192
SHORTEST_CONTEXT_LENGTH = 64
DEFAULT_SLOTS = 4
MOST_SLOTS = 256
MOST_INSTANCES = 64


def choose_context_length(requested: int | None, trained: int) -> int:
    """Tokens each slot can hold.

    Args:
        requested: what the owner asks for; None: the trained length, at most 8,192.
        trained: the longest sequence the model was trained for, in tokens.

    Raises:
        InvalidRequest: it is longer than the model was trained for, or too short to be useful.
    """
    if requested is None:
        return min(trained, DEFAULT_CONTEXT_LENGTH)
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
            f"a context of {requested:,} tokens holds no conversation",
            hint=f"ask for {shortest} to {trained:,}",
            param="context_length",
        )
    return requested


def choose_slots(requested: int | None) -> int:
    """Concurrent sequences in one instance.

    Raises:
        InvalidRequest: it is not between 1 and 256.
    """
    slots = DEFAULT_SLOTS if requested is None else requested
    if not 1 <= slots <= MOST_SLOTS:
        raise InvalidRequest(
            f"a concurrency of {slots} is not possible",
            hint=f"ask for 1 to {MOST_SLOTS} sequences at once in each instance",
            param="concurrency",
        )
    return slots


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
