"""How llama.cpp would serve a model here: whole, split over GPUs, or partly on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hydra_box.plan.device_groups import ON_CPU, Ground, on_equal, on_exactly, on_one, whole
from hydra_box.plan.engine_choice import Attempt
from hydra_box.plan.engine_limits import able
from hydra_box.plan.layer_split import even_split, fill
from hydra_box.plan.layout import (
    Layout,
    Site,
    changed,
    fits,
    how_many_fit,
    most_room,
    room_to_grow,
)
from hydra_box.plan.llama_cpp_setup import (
    blocks,
    context_at,
    is_whole,
    larger_batches,
    plain,
    threads,
)
from hydra_box.plan.quality import bands, best_first, fastest_first, usual_and_lean
from hydra_box.plan.sizes import (
    DEFAULT_SLOTS,
    USEFUL_CONTEXT,
    fewer_slots,
    longer_contexts,
    shorter_contexts,
    useful_context,
)
from hydra_box.types import CPU, Accelerator, Ask, EngineName, Gpu, Offer

LEAST_SHARE_ON_GPU = 4
"""One layer in so many at least: with less the GPU waits for the CPU nearly all the time."""


def search(site: Site, ask: Ask, attempt: Attempt) -> Layout | None:
    """The best that fits, or None.

    On the GPUs, in this order, each over the quantisations of four bits or more, best first:

    1. whole on the fewest GPUs with a useful context and 4 slots, then 3, 2 and 1; first over
       ``Q4_K_M`` and better, then over the smaller ones of four bits;

    and in the attempt for what is left:

    2. whole with 4,096 tokens of context;
    3. partly on the CPU with a useful context, with the quantisation nearest to ``Q4_K_M``;
    4. whole with three bits;
    5. whole with 2,048 tokens of context, then partly with 4,096 and 2,048.

    On the CPU: the quantisation nearest to ``Q4_K_M``, first with a useful context, then with
    less; three bits last. Slots beyond the first only while half of the RAM stays free.
    """
    if attempt.accelerator is Accelerator.CPU:
        return _on_cpu(site, ask, attempt)
    found = next(_on_gpus(site, ask, attempt), None)
    return None if found is None else _grown(site, ask, found)


def widest(site: Site, ask: Ask, attempt: Attempt, offer: Offer) -> Layout:
    """The layout that comes nearest to fitting, to say what is missing."""
    context = min((*shorter_contexts(ask, 1 << 62), useful_context(ask, offer.facts)))
    slots = ask.slots or 1
    if attempt.accelerator is Accelerator.CPU:
        return plain(site, offer, ON_CPU, context, slots)
    usable = able(EngineName.LLAMA_CPP, offer.facts, attempt.gpus)
    gpus = _by_room(site, usable)
    alone = plain(site, offer, on_one(usable), context, slots)
    if len(gpus) < 2 or how_many_fit(site, alone):
        return alone
    layout = plain(site, offer, on_exactly(gpus), context, slots)
    shares = even_split(blocks(offer), [site.available[one.uuid] for one in gpus])
    return changed(site, layout, split=shares)


# --- on the CPU --------------------------------------------------------------------------


def _on_cpu(site: Site, ask: Ask, attempt: Attempt) -> Layout | None:
    good, fair = (fastest_first(one) for one in bands(ask, attempt.offers))
    tries = (
        ((good, 0),) if attempt.useful else ((good, 1), (good, 2), (fair, 0), (fair, 1), (fair, 2))
    )
    for offers, step in tries:
        for offer in offers:
            context = context_at(ask, offer.facts, step)
            if context is None or offer.facts.weight_bytes > site.available[CPU]:
                continue
            layout = plain(site, offer, ON_CPU, context, ask.slots or 1)
            if fits(site, layout):
                return layout if ask.slots else _more_slots(site, layout)
    return None


def _more_slots(site: Site, layout: Layout) -> Layout:
    limits = room_to_grow(site, layout)
    for slots in range(DEFAULT_SLOTS, layout.options.slots, -1):
        larger = changed(site, layout, slots=slots)
        if fits(site, larger, limits):
            return larger
    return layout


# --- on GPUs -----------------------------------------------------------------------------


def _on_gpus(site: Site, ask: Ask, attempt: Attempt) -> Iterator[Layout]:
    good, fair = (best_first(one) for one in bands(ask, attempt.offers))
    few = ask.slots or 1
    gpus = able(EngineName.LLAMA_CPP, attempt.offers[0].facts, attempt.gpus)
    grounds = _grounds(site, gpus)
    if attempt.useful:
        for width in sorted(grounds):
            for offers in usual_and_lean(good):
                for slots in (ask.slots or DEFAULT_SLOTS, *fewer_slots(ask)):
                    yield from _wholes(site, ask, offers, grounds[width], 0, slots)
        return
    everywhere = [one for width in sorted(grounds) for one in grounds[width]]
    yield from _wholes(site, ask, good, everywhere, 1, few)
    yield from _partials(site, ask, good, gpus, 0)
    yield from _wholes(site, ask, fair, everywhere, 0, few)
    yield from _wholes(site, ask, (*good, *fair), everywhere, 2, few)
    for step in (1, 2):
        yield from _partials(site, ask, good, gpus, step)


def _grounds(site: Site, gpus: Sequence[Gpu]) -> dict[int, list[Ground]]:
    """Width to grounds: any one GPU; equal ones; those with the most room together."""
    found: dict[int, list[Ground]] = {1: [on_one(gpus)]} if gpus else {}
    roomy = _by_room(site, gpus)
    for width in range(2, len(roomy) + 1):
        equal = on_equal(gpus, width)
        found[width] = [] if equal is None else [equal]
        found[width].append(on_exactly(roomy[:width]))
    return found


def _by_room(site: Site, gpus: Sequence[Gpu]) -> list[Gpu]:
    return sorted(whole(gpus), key=lambda one: (-site.available[one.uuid], one.index))


def _wholes(
    site: Site,
    ask: Ask,
    offers: Sequence[Offer],
    grounds: Sequence[Ground],
    step: int,
    slots: int,
) -> Iterator[Layout]:
    for ground in grounds:
        room = most_room(site, ground)
        for offer in offers:
            context = context_at(ask, offer.facts, step)
            facts = offer.facts
            on_gpu = facts.weight_bytes - facts.input_weight_bytes - facts.other_weight_bytes
            if context is None or on_gpu > room:
                continue
            layout = plain(site, offer, ground, context, slots)
            if not ground.exact:
                shares = () if ground.width == 1 else even_split(blocks(offer), [1] * ground.width)
                layout = changed(site, layout, split=shares) if shares else layout
                if fits(site, layout):
                    yield layout
            else:
                filled = fill(site, layout)
                if filled is not None and is_whole(filled):
                    yield filled


def _partials(
    site: Site, ask: Ask, offers: Sequence[Offer], gpus: Sequence[Gpu], step: int
) -> Iterator[Layout]:
    together = _by_room(site, gpus)
    for offer in fastest_first(offers):
        context = context_at(ask, offer.facts, step)
        if context is None or _hopeless(site, offer, gpus):
            continue
        slots = ask.slots or 1
        found = [_partial_on_one(site, plain(site, offer, on_one(gpus), context, slots))]
        if len(together) > 1:
            found.append(fill(site, plain(site, offer, on_exactly(together), context, slots)))
        enough = [
            one
            for one in found
            if one is not None and one.options.gpu_layers >= _least_layers(offer)
        ]
        if enough:
            best = max(enough, key=lambda one: one.options.gpu_layers)
            yield changed(site, best, threads=threads(site, offer.facts, beside_gpu=False))


def _hopeless(site: Site, offer: Offer, gpus: Sequence[Gpu]) -> bool:
    """The weights alone are too large for GPUs and CPU together, or a quarter for the GPUs."""
    facts = offer.facts
    room = sum(site.available[one.uuid] for one in gpus)
    least = facts.layer_weight_bytes[len(facts.layers) + 1 - _least_layers(offer) :]
    return facts.weight_bytes > room + site.available[CPU] or sum(least) > room


def _least_layers(offer: Offer) -> int:
    return -(-blocks(offer) // LEAST_SHARE_ON_GPU)


def _partial_on_one(site: Site, layout: Layout) -> Layout | None:
    """The most layers with which as many instances as are asked for fit."""
    anything = {**site.available, CPU: 1 << 62}
    low, high = 0, blocks(layout.offer)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(site, changed(site, layout, gpu_layers=middle), anything):
            low = middle
        else:
            high = middle - 1
    best = changed(site, layout, gpu_layers=low)
    return best if low and fits(site, best) else None


def _grown(site: Site, ask: Ask, layout: Layout) -> Layout:
    """The same with what was not asked for made larger, where there is room to spare."""
    limits = room_to_grow(site, layout)
    full = is_whole(layout) and layout.options.slots >= (ask.slots or DEFAULT_SLOTS)
    if full and layout.options.context_length >= min(
        USEFUL_CONTEXT, layout.offer.facts.context_length
    ):
        for context in longer_contexts(ask, layout.offer.facts, layout.options.context_length):
            larger = changed(site, layout, context_length=context)
            if fits(site, larger, limits):
                layout = larger
                break
    for batch in larger_batches(layout):
        larger = changed(site, layout, batch_tokens=batch)
        if fits(site, larger, limits):
            return larger
    return layout
