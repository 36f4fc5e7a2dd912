"""The shape of a transformer: the few numbers that say how large its tensors and caches are."""

from __future__ import annotations

from hydra_box.types import Frozen


class Shape(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hyper-parameters as ``config.json`` has them, under one name for every architecture.

    Lengths are elements, ``layers`` are blocks; a number that an architecture lacks is 0 or None.
    """

    architecture: str
    """``architectures[0]`` of ``config.json``."""
    gguf_architecture: str | None = None
    """``general.architecture``; None: llama.cpp does not read it."""
    layers: int
    embedding_length: int
    heads: int
    kv_heads: int
    head_length: int
    value_length: int | None = None
    """Of one head's value; None: as ``head_length``."""
    feed_forward_length: int = 0
    """Of the dense layers; 0 when every layer is a mixture of experts."""
    feed_forward_matrices: int = 3
    """3 with a gate (SwiGLU), 2 without."""
    vocabulary_size: int
    tied_embeddings: bool = False
    causal: bool = True
    """False for encoders, which keep no cache."""
    experts: int = 0
    experts_used: int = 0
    expert_feed_forward_length: int = 0
    shared_expert_feed_forward_length: int = 0
    """Width of all shared experts together."""
    dense_layers: int = 0
    """How many of the first layers of a mixture of experts are dense."""
    expert_every: int = 1
    """Of the others, every n-th is a mixture of experts."""
    window_tokens: int | None = None
    full_attention_every: int | None = None
    """Every n-th layer attends to the whole context, the others to the window, or keep a
    recurrent state; None: all layers are alike."""
    full_attention_layers: tuple[int, ...] = ()
    """The layers, counted from 0, that attend to the whole context, where no period says it."""
    full_kv_heads: int | None = None
    full_head_length: int | None = None
    """Where the layers with full attention differ from the sliding ones; None: they do not."""
    value_is_key: bool = False
    """Layers with full attention have no value matrix: the key serves as value (Gemma 4)."""
    shared_cache_layers: int = 0
    """How many of the last layers read the cache of an earlier one and keep none (Gemma 3n)."""
    kv_lora_rank: int = 0
    """Greater than 0: multi-head latent attention."""
    q_lora_rank: int = 0
    rope_head_length: int = 0
    """MLA: the rotary part of a head; ``head_length`` is the part without it."""
    recurrent_key_heads: int = 0
    recurrent_value_heads: int = 0
    recurrent_key_length: int = 0
    recurrent_value_length: int = 0
    recurrent_conv_length: int = 0
    """Greater than 0: layers that are not full attention keep a gated delta-net state."""
    cross_attention_layers: int = 0
    """Extra layers that attend to an image (Mllama); counted in ``layers``."""
    vision_parameters: int = 0
    """Vision tower and projector."""
    extra_parameters: int = 0
    """What the formula does not know: per-layer embeddings, heads of embedding models."""
