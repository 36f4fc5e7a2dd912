"""Which of the quantisations on offer is better: the order in which a plan tries them.

All offers are of one model, so that more bytes mean more of its quality. Three limits come from
practice: nobody tells ``Q8_0`` from more, four bits are what people serve, and below three bits a
model is another one, which nobody gets who has not asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra_box.types import Ask, ModelFacts, Offer, WeightFormat

GOOD_BITS = 4
FAIR_BITS = 3
PLENTY_BITS = 8
FAST_ON_CPU_BYTES = 2 << 30
"""Up to this a CPU reads a model's weights often enough a second at any quantisation."""

_NAMED_BITS = re.compile(r"(?:^|[^A-Z0-9])(?:I?Q|TQ|BF|F|FP|INT|MXFP|NVFP|W)(\d{1,2})(?!\d)")
_FOUR_BITS = ("AWQ", "GPTQ")


def bits(facts: ModelFacts) -> float:
    """Bits of one weight, by the name of the quantisation, else by the size of the files."""
    name = (facts.quantization or "").upper()
    found = _NAMED_BITS.search(name)
    if found:
        return float(found[1])
    if name.startswith(_FOUR_BITS):
        return 4.0
    return 8.0 * facts.weight_bytes / max(1, facts.parameters)


def bands(ask: Ask, offers: Sequence[Offer]) -> tuple[list[Offer], list[Offer]]:
    """The offers that a plan may choose: those to serve, and those to serve before refusing.

    Four bits and more, and three bits. What was asked for by name counts as the former; so does
    the best that there is, if all have less than four bits.
    """
    if ask.quantization is not None:
        return list(offers), []
    good = [one for one in offers if bits(one.facts) >= GOOD_BITS]
    fair = [one for one in offers if FAIR_BITS <= bits(one.facts) < GOOD_BITS]
    if good:
        return good, fair
    return fair or list(offers), []


def usual_and_lean(offers: Sequence[Offer]) -> tuple[list[Offer], list[Offer]]:
    """Those of at least ``Q4_K_M``'s size, and those below it, which come into question later."""
    usual = _q4_k_m(offers)
    least = usual[0].facts.weight_bytes if usual else 0
    large = [one for one in offers if one.facts.weight_bytes >= least]
    return large, [one for one in offers if one.facts.weight_bytes < least]


def lesser(ask: Ask, offers: Sequence[Offer]) -> tuple[str, ...]:
    """The quantisations that a plan does not choose, or not for all it can do; the best first."""
    good, _ = bands(ask, offers)
    rest = [one for one in best_first(offers) if one not in good]
    return tuple(dict.fromkeys(one.facts.quantization for one in rest if one.facts.quantization))


def best_first(offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """The order on a GPU, which is fast enough for the best that fits.

    By bytes; unquantised GGUF comes after the rest, because ``Q8_0`` is as good and half of it.
    """
    return tuple(sorted(offers, key=lambda one: (_needless(one), -one.facts.weight_bytes)))


def fastest_first(offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """The order where the CPU computes: its memory's speed sets the pace.

    ``Q4_K_M`` first (without it, the smallest), then by distance in bytes from it; a model of
    less than 2 GiB is fast enough at its best.
    """
    best = best_first(offers)
    if best and best[0].facts.weight_bytes <= FAST_ON_CPU_BYTES:
        return best
    aim = min((one.facts.weight_bytes for one in _q4_k_m(offers) or offers), default=0)
    return tuple(sorted(offers, key=lambda one: abs(one.facts.weight_bytes - aim)))


def named(offer: Offer) -> str:
    """The quantisation in words: ``Q4_K_M``."""
    return offer.facts.quantization or "the weights on offer"


def _q4_k_m(offers: Sequence[Offer]) -> list[Offer]:
    return [one for one in offers if (one.facts.quantization or "").upper() == "Q4_K_M"]


def _needless(offer: Offer) -> bool:
    return offer.facts.format is WeightFormat.GGUF and bits(offer.facts) > PLENTY_BITS
