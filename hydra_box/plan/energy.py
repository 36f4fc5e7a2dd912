"""What the GPUs drew while they worked, and whose share of it is whose.

Energy is whole millijoules here, so that what is shared out is exactly what was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from hydra_box.types import Frozen, RequestRecord

ShareEnergy = Callable[[Sequence[RequestRecord]], Mapping[str, int]]
"""Tells what each request, by its id, drew since the last time, in millijoules."""


class Worked(Frozen, frozen=True, kw_only=True):
    """A request that an instance has answered, as far as its energy is concerned."""

    request_id: str
    devices: tuple[str, ...]
    """UUIDs of the GPUs that its instance computes on; none: it has drawn nothing here."""
    tokens: int


def drawn_millijoules(before_watts: float, now_watts: float, busy_seconds: float) -> float:
    """Energy between two samples of the power (their mean), over the time of work between them."""
    return (before_watts + now_watts) / 2 * busy_seconds * 1000


def share(
    millijoules: Mapping[str, int], worked: Iterable[Worked]
) -> tuple[dict[str, int], dict[str, int]]:
    """Each GPU's energy over the requests on it, by their tokens; then what nobody has taken.

    What is left of a division goes to those with the largest remainders, so that no millijoule is
    lost. A GPU without a token on it keeps its energy for the next time.
    """
    worked = list(worked)
    shares: dict[str, int] = {}
    left: dict[str, int] = {}
    for device, whole in millijoules.items():
        here = [one for one in worked if device in one.devices and one.tokens > 0]
        if not here:
            left[device] = whole
            continue
        tokens = sum(one.tokens for one in here)
        parts = [divmod(whole * one.tokens, tokens) for one in here]
        rest = whole - sum(part for part, _ in parts)
        by_remainder = sorted(range(len(here)), key=lambda at: -parts[at][1])
        more = frozenset(by_remainder[:rest])
        for at, one in enumerate(here):
            shares[one.request_id] = shares.get(one.request_id, 0) + parts[at][0] + (at in more)
    return shares, left
