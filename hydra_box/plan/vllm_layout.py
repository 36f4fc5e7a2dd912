"""How vLLM would serve a model here: on one GPU, or with tensor parallelism on equal ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from hydra_box.plan.device_groups import ON_CPU, Ground, on_equal, on_one
from hydra_box.plan.engine_choice import Attempt
from hydra_box.plan.engine_limits import able
from hydra_box.plan.layout import (
    Layout,
    Site,
    changed,
    fits,
    how_many_fit,
    lay_out,
    most_room,
    room_to_grow,
)
from hydra_box.plan.memory import kv_cache_bytes
from hydra_box.plan.quality import PLENTY_BITS, best_first, bits
from hydra_box.plan.sizes import (
    DEFAULT_SLOTS,
    MOST_SLOTS,
    fewer_slots,
    longer_contexts,
    shorter_contexts,
    useful_context,
)
from hydra_box.types import (
    Accelerator,
    Ask,
    CacheKind,
    EngineName,
    EngineOptions,
    Gpu,
    ModelFacts,
    Offer,
)

GIB = 1 << 30
USEFUL_SEQUENCES = 4
"""Full contexts that the KV cache holds at once at least."""
TYPICAL_SEQUENCE_TOKENS = 1024
"""What a sequence holds on average, of those beyond the full ones: vLLM shares the cache."""
SMALLEST_BATCH = 2048
BATCHES = ((70 * GIB, 8192), (40 * GIB, 4096))
"""GPU size to tokens of a prefill step; vLLM's own default is 8192 from 70 GiB on, else 2048."""
QUANTIZATION_BLOCK = 128
"""Weights of a quantised matrix share a scale in blocks of 128, which ranks cannot divide."""
WIDTHS = (1, 2, 4, 8, 16)


def search(site: Site, ask: Ask, attempt: Attempt) -> Layout | None:
    """The best that fits, or None.

    The fewest GPUs, then the quantisation with the most bytes, with a KV cache for four sequences
    of a useful context; in the attempt for what is left with fewer sequences, and then with 4,096
    and 2,048 tokens.
    """
    found = next(_all(site, ask, attempt), None)
    return None if found is None else _grown(site, ask, found)


def widest(site: Site, ask: Ask, attempt: Attempt, offer: Offer) -> Layout:
    """The layout that comes nearest to fitting, to say what is missing."""
    first = useful_context(ask, offer.facts)
    context = min((first, *shorter_contexts(ask, first)))
    slots = ask.slots or 1
    if attempt.accelerator is Accelerator.CPU:
        return _plain(site, offer, ON_CPU, context, slots)
    layouts = [
        _plain(site, offer, ground, context, slots)
        for _, ground in _grounds(offer.facts, attempt.gpus)
    ]
    return next((one for one in layouts if how_many_fit(site, one)), layouts[-1])


def useful_kv_bytes(facts: ModelFacts, options: EngineOptions) -> int:
    """Bytes of KV cache on each rank that these slots need.

    Room for four full contexts (for all, if there are fewer slots), and for 1,024 tokens in every
    slot, whichever is more. vLLM gives a sequence the blocks that it needs, not a whole context.
    """
    if all(one.kind is CacheKind.NONE for one in facts.layers):
        return 0
    full = msgspec.structs.replace(options, slots=min(options.slots, USEFUL_SEQUENCES))
    short = min(options.context_length, TYPICAL_SEQUENCE_TOKENS)
    typical = msgspec.structs.replace(options, context_length=short)
    needed = max(kv_cache_bytes(facts, EngineName.VLLM, one) for one in (full, typical))
    return -(-needed // options.tensor_parallel)


def _all(site: Site, ask: Ask, attempt: Attempt) -> Iterator[Layout]:
    offers = best_first(attempt.offers)
    if attempt.useful:
        yield from _with_context(site, ask, attempt, offers, 0, ask.slots or DEFAULT_SLOTS)
        return
    for slots in fewer_slots(ask):
        yield from _with_context(site, ask, attempt, offers, 0, slots)
    for step in (1, 2):
        yield from _with_context(site, ask, attempt, offers, step, ask.slots or 1)


def _with_context(
    site: Site, ask: Ask, attempt: Attempt, offers: Sequence[Offer], step: int, slots: int
) -> Iterator[Layout]:
    if attempt.accelerator is Accelerator.CPU:
        pairs = [(0, offer, ON_CPU) for offer in offers]
    else:
        pairs = [
            (width, offer, ground)
            for offer in offers
            for width, ground in _grounds(offer.facts, attempt.gpus)
        ]
    for _, offer, ground in sorted(pairs, key=lambda one: one[0]):
        first = useful_context(ask, offer.facts)
        contexts = (first, *shorter_contexts(ask, first))
        if step >= len(contexts) or offer.facts.weight_bytes > most_room(site, ground):
            continue
        layout = _plain(site, offer, ground, contexts[step], slots)
        if fits(site, layout):
            yield layout


def _grounds(facts: ModelFacts, gpus: Sequence[Gpu]) -> Iterator[tuple[int, Ground]]:
    """The tensor parallel sizes that the model and the GPUs allow, the smallest first."""
    usable = able(EngineName.VLLM, facts, gpus)
    if usable:
        yield 1, on_one(usable)
    for width in WIDTHS[1:]:
        ground = on_equal(usable, width)
        if ground is not None and divides(facts, width):
            yield width, ground


def divides(facts: ModelFacts, ranks: int) -> bool:
    """The model's heads, and its blocks of quantised weights, can be shared by that many ranks."""
    if facts.heads % ranks:
        return False
    if bits(facts) > PLENTY_BITS or (facts.quantization or "").upper() == "MXFP4":
        return True
    widths = (facts.feed_forward_length, facts.expert_feed_forward_length)
    return all(one % (QUANTIZATION_BLOCK * ranks) == 0 for one in widths)


def _grown(site: Site, ask: Ask, layout: Layout) -> Layout:
    """The same with what was not asked for made larger, where there is room to spare."""
    if layout.ground.accelerator is Accelerator.CPU:
        return layout
    limits = room_to_grow(site, layout)
    facts = layout.offer.facts
    useful = layout.options.context_length >= useful_context(ask, facts)
    if useful and layout.options.slots >= (ask.slots or DEFAULT_SLOTS):
        for context in longer_contexts(ask, facts, layout.options.context_length):
            larger = _resized(site, layout, context_length=context)
            if fits(site, larger, limits):
                layout = larger
                break
    smallest = min(one.total_bytes for pool in layout.ground.pools for one in pool)
    for size, batch in BATCHES:
        larger = _resized(site, layout, batch_tokens=max(batch, layout.options.batch_tokens))
        if smallest >= size and fits(site, larger, limits):
            layout = larger
            break
    slots = MOST_SLOTS if ask.slots is None else 0
    while slots > layout.options.slots:
        larger = _resized(site, layout, slots=slots)
        if fits(site, larger, limits):
            return larger
        slots //= 2
    return layout


def _plain(site: Site, offer: Offer, ground: Ground, context: int, slots: int) -> Layout:
    options = EngineOptions(
        context_length=context,
        slots=slots,
        batch_tokens=_batch(offer.facts, context),
        tensor_parallel=max(1, ground.width),
        kv_cache_type="auto",
        threads=1 if ground.width else site.threads,
    )
    return _resized(site, lay_out(site, offer, EngineName.VLLM, ground, options))


def _batch(facts: ModelFacts, context: int) -> int:
    """An encoder's input cannot be cut into steps: it has to fit one."""
    causal = any(one.kind is not CacheKind.NONE for one in facts.layers)
    return SMALLEST_BATCH if causal else max(SMALLEST_BATCH, context)


def _resized(site: Site, layout: Layout, **changes: object) -> Layout:
    larger = changed(site, layout, **changes)
    cache = useful_kv_bytes(layout.offer.facts, larger.options)
    return changed(site, larger, kv_cache_bytes=cache)
