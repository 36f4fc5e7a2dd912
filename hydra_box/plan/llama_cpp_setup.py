"""One llama.cpp instance set up: context, slots, prefill step, threads, layers on GPUs."""

from __future__ import annotations

from hydra_box.plan.device_groups import Ground
from hydra_box.plan.layout import Layout, Site, lay_out
from hydra_box.plan.sizes import (
    LONGEST_VECTOR_INPUT,
    USEFUL_CONTEXT,
    VECTOR_MODALITIES,
    shorter_contexts,
    useful_context,
)
from hydra_box.types import Ask, EngineName, EngineOptions, ModelFacts, Offer

GIB = 1 << 30
SMALLEST_BATCH, MIDDLE_BATCH, LARGEST_BATCH = 512, 1024, 2048
BATCHES = ((20 * GIB, LARGEST_BATCH), (10 * GIB, MIDDLE_BATCH))
"""GPU size to tokens of a prefill step that are worth their buffers, where there is room."""
TINY_EMBEDDING_LENGTH = 512
"""Threads that share so little work cost more than they bring."""
THREADS_BESIDE_GPU = 4
"""While the GPU computes, threads only prepare and sample."""


def plain(site: Site, offer: Offer, ground: Ground, context: int, slots: int) -> Layout:
    """An instance with all its layers on the ground, and the smallest prefill step.

    An embedding's input has to fit one step; a tiny model's buffers are small at any.
    """
    facts = offer.facts
    follows = facts.modality in VECTOR_MODALITIES or facts.embedding_length < TINY_EMBEDDING_LENGTH
    batch = min(max(context, SMALLEST_BATCH), LARGEST_BATCH) if follows else SMALLEST_BATCH
    options = EngineOptions(
        context_length=context,
        slots=slots,
        batch_tokens=batch,
        gpu_layers=blocks(offer) if ground.width else 0,
        threads=threads(site, facts, beside_gpu=ground.width > 0),
    )
    return lay_out(site, offer, EngineName.LLAMA_CPP, ground, options)


def blocks(offer: Offer) -> int:
    """The layers that can be on GPUs, of which the output is one."""
    return len(offer.facts.layers) + 1


def is_whole(layout: Layout) -> bool:
    """Every layer and the output are on GPUs."""
    return layout.options.gpu_layers >= blocks(layout.offer)


def is_one_batch(layout: Layout) -> bool:
    """Its context is as short as an embedding's input has to be."""
    return (
        layout.engine is EngineName.LLAMA_CPP
        and layout.offer.facts.modality in VECTOR_MODALITIES
        and layout.options.context_length == LONGEST_VECTOR_INPUT
    )


def threads(site: Site, facts: ModelFacts, *, beside_gpu: bool) -> int:
    """CPU threads of one instance."""
    if facts.embedding_length < TINY_EMBEDDING_LENGTH:
        return 1
    return min(site.threads, THREADS_BESIDE_GPU) if beside_gpu else site.threads


def context_at(ask: Ask, facts: ModelFacts, step: int) -> int | None:
    """The context to begin with, in tokens, or the ``step``-th shorter one; None: there is none."""
    longest = LONGEST_VECTOR_INPUT if facts.modality in VECTOR_MODALITIES else USEFUL_CONTEXT
    first = useful_context(ask, facts, longest)
    contexts = (first, *shorter_contexts(ask, first))
    return contexts[step] if step < len(contexts) else None


def larger_batches(layout: Layout) -> tuple[int, ...]:
    """Prefill steps to grow to where there is room, the largest first."""
    smallest = min(one.total_bytes for pool in layout.ground.pools for one in pool)
    return tuple(
        batch for size, batch in BATCHES if smallest >= size and batch > layout.options.batch_tokens
    )
