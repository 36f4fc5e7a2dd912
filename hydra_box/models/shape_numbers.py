"""The numbers of a shape that a model's facts repeat."""

from __future__ import annotations

from typing import TypedDict

from hydra_box.models.shape import Shape


class Numbers(TypedDict):
    """Fields of ``ModelFacts``."""

    embedding_length: int
    feed_forward_length: int
    heads: int
    head_length: int
    vocabulary_size: int
    experts: int
    experts_used: int
    expert_feed_forward_length: int


def shape_numbers(shape: Shape) -> Numbers:
    """Those fields of the facts that a shape tells by itself."""
    head_length = shape.head_length + shape.rope_head_length
    return Numbers(
        embedding_length=shape.embedding_length,
        feed_forward_length=shape.feed_forward_length or shape.expert_feed_forward_length,
        heads=shape.heads,
        head_length=max(head_length, shape.full_head_length or 0),
        vocabulary_size=shape.vocabulary_size,
        experts=shape.experts,
        experts_used=shape.experts_used,
        expert_feed_forward_length=shape.expert_feed_forward_length,
    )
