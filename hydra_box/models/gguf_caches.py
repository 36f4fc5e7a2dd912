"""What llama.cpp keeps of the tokens, block by block, read from a GGUF file's values.

Source: ``llama_model::create_memory``, ``llama-hparams.cpp`` and the ``load_arch_hparams`` of each
architecture in llama.cpp b11549 (the sources inside llama-cpp-python 0.3.36).
"""

from __future__ import annotations

from typing import NamedTuple

from hydra_box.models.gguf_values import GgufValues
from hydra_box.types import CacheKind, LayerCache

FLOAT32_BYTES = 4
NO_CACHE = frozenset(
    {
        "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2",
        "jina-bert-v3", "eurobert", "gemma-embedding", "dream", "llada",
        "llada-moe", "rnd1", "wavtokenizer-dec",
    }
)  # fmt: skip
"""They see all tokens at once: encoders, and diffusion language models."""
RECURRENT = frozenset({"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"})
"""Every block keeps a state."""
RECURRENT_WITHOUT_KV_HEADS = frozenset(
    {
        "jamba", "plamo2", "granitehybrid", "lfm2", "lfm2moe", "kimi-linear", "kimi-k3",
        "bailingmoe3", "glm5-next", "nemotron_h", "nemotron_h_moe",
    }
)  # fmt: skip
"""A block without KV heads keeps a state."""
RECURRENT_BY_INTERVAL = frozenset({"qwen3next", "qwen35", "qwen35moe", "qwen4exp", "minimax-01"})
"""Every n-th block is attention, the others keep a state."""
INDEXED = frozenset({"glm-dsa", "deepseek32", "hy_v4", "dots3note", "glm5-next"})
"""Beside the latent they keep one key of an indexer, which picks the tokens to attend to."""
GEMMA_3N_LAYERS_WITH_CACHE = 20


class _Windows(NamedTuple):
    """Which blocks of an architecture slide: all but every ``period``-th."""

    period: int | None
    """None: the file must say for each block."""
    first_is_full: bool = False
    default_tokens: int | None = None
    """Where the file names no window; None: then no block slides."""
    fixed_tokens: int | None = None
    """Whatever the file says."""


WINDOWS = {
    "afmoe": _Windows(4),
    "cohere2": _Windows(4),
    "cohere2moe": _Windows(4, first_is_full=True),
    "dots3note": _Windows(None),
    "exaone-moe": _Windows(4, default_tokens=128),
    "gemma2": _Windows(2, default_tokens=4096),
    "gemma3": _Windows(6),
    "gemma3n": _Windows(5),
    "gemma4": _Windows(None),
    "gpt-oss": _Windows(2),
    "granite_swa": _Windows(None),
    "laguna": _Windows(4, first_is_full=True),
    "lfm2": _Windows(0),
    "lfm2moe": _Windows(0),
    "llama4": _Windows(4, default_tokens=8192, fixed_tokens=8192),
    "maple": _Windows(None),
    "mellum": _Windows(4),
    "mimo2": _Windows(None),
    "muse-glimmer": _Windows(4),
    "olmo2": _Windows(4),
    "plamo3": _Windows(8),
    "smallthinker": _Windows(4, first_is_full=True, fixed_tokens=4096),
    "spark2_5": _Windows(None),
    "step35": _Windows(None),
}
"""Architectures that slide in llama.cpp; a window in the file of any other is ignored there.

A period of 0 means that every block slides.
"""


def gguf_caches(values: GgufValues) -> tuple[LayerCache, ...]:
    """The cache of every block, those for multi-token prediction included (they keep none).

    Raises:
        ValueError: a number is impossible.

    """
    blocks = values.blocks()
    if values.architecture in NO_CACHE:
        return (LayerCache(kind=CacheKind.NONE),) * blocks
    attention = _Attention(values, blocks)
    recurrent = _recurrent_blocks(values, blocks, attention.kv_heads)
    state_bytes = _state_bytes(values, attention.heads[0]) if any(recurrent) else 0
    trunk = trunk_blocks(values)
    caches = []
    for block in range(blocks):
        if block >= trunk:
            cache = LayerCache(kind=CacheKind.NONE)
        elif recurrent[block]:
            cache = LayerCache(kind=CacheKind.RECURRENT, state_bytes=state_bytes)
        else:
            cache = attention.cache(block)
        if values.architecture == "falcon-h1":
            cache = attention.cache(block, state_bytes=state_bytes)
        caches.append(cache)
    return tuple(caches)


def trunk_blocks(values: GgufValues) -> int:
    """How many of the first blocks make the text; the rest only predict more tokens ahead.

    llama.cpp loads the rest for speculative decoding alone.
    """
    blocks, ahead = values.blocks(), values.count("nextn_predict_layers")
    return blocks - ahead if ahead < blocks else blocks


class _Attention:
    """Heads, their lengths and the windows of a model's blocks."""

    def __init__(self, values: GgufValues, blocks: int) -> None:
        self.heads = values.per_block("attention.head_count", blocks) or (0,) * blocks
        self.kv_heads = values.per_block("attention.head_count_kv", blocks) or self.heads
        width = values.count("embedding_length")
        usual = width // self.heads[0] if self.heads[0] else 0
        key = values.number("attention.key_length")
        value = values.number("attention.value_length")
        self.key = usual if key is None else key
        self.value = usual if value is None else value
        key = values.number("attention.key_length_swa")
        value = values.number("attention.value_length_swa")
        self.sliding_key = self.key if key is None else key
        self.sliding_value = self.value if value is None else value
        self.latent_rank = 0
        if values.count("attention.key_length_mla") and values.count("attention.value_length_mla"):
            self.latent_rank = values.count("attention.kv_lora_rank")
        self.indexer = 0
        if values.architecture in INDEXED:
            self.indexer = values.count("attention.indexer.key_length")
        self.window, self.sliding = _windows(values, blocks)
        self.with_cache = _blocks_with_cache(values, blocks)

    def cache(self, block: int, *, state_bytes: int = 0) -> LayerCache:
        """The cache of an attention block."""
        kv_heads = self.kv_heads[block]
        if block >= self.with_cache or not kv_heads:
            return LayerCache(kind=CacheKind.NONE)
        if self.latent_rank:
            return LayerCache(
                kind=CacheKind.LATENT,
                kv_heads=kv_heads,
                key_length=self.key + self.indexer,
                value_length=self.latent_rank,
            )
        sliding = self.sliding[block]
        return LayerCache(
            kind=CacheKind.SLIDING if sliding else CacheKind.FULL,
            kv_heads=kv_heads,
            key_length=self.sliding_key if sliding else self.key,
            value_length=self.sliding_value if sliding else self.value,
            window_tokens=self.window if sliding else None,
            state_bytes=state_bytes,
        )


def _windows(values: GgufValues, blocks: int) -> tuple[int | None, tuple[bool, ...]]:
    """The window in tokens, and which blocks slide."""
    none = (None, (False,) * blocks)
    rule = WINDOWS.get(values.architecture)
    # Of the two sizes of EXAONE 4 only the one with 64 blocks slides.
    if values.architecture == "exaone4" and blocks == 64:
        rule = _Windows(4, default_tokens=4096)
    if rule is None:
        return none
    tokens = values.number("attention.sliding_window")
    tokens = rule.default_tokens if tokens is None else tokens
    if not tokens:
        return none
    tokens = rule.fixed_tokens or tokens
    key = "attention.sliding_window_pattern"
    said = values.per_block(key, blocks)
    if said is not None and values.length(f"{values.architecture}.{key}") is not None:
        return tokens, tuple(bool(one) for one in said)
    period = said[0] if said else rule.period
    if period is None:
        return none
    full = 0 if rule.first_is_full else period - 1
    return tokens, tuple(not period or block % period != full for block in range(blocks))


def _blocks_with_cache(values: GgufValues, blocks: int) -> int:
    """The blocks after these read the cache of an earlier one."""
    if values.architecture == "gemma3n":
        return GEMMA_3N_LAYERS_WITH_CACHE
    if values.architecture == "gemma4":
        return blocks - values.count("attention.shared_kv_layers")
    return blocks


def _recurrent_blocks(
    values: GgufValues, blocks: int, kv_heads: tuple[int, ...]
) -> tuple[bool, ...]:
    architecture = values.architecture
    if architecture in RECURRENT or architecture == "falcon-h1":
        return (True,) * blocks
    if architecture in RECURRENT_WITHOUT_KV_HEADS:
        feed_forward = (0,) * blocks
        if architecture.startswith("nemotron_h"):
            # A block of Nemotron-H is one of three: a state, attention, or a feed-forward alone.
            feed_forward = values.per_block("feed_forward_length", blocks) or feed_forward
        return tuple(
            not heads and not width for heads, width in zip(kv_heads, feed_forward, strict=True)
        )
    if architecture in RECURRENT_BY_INTERVAL:
        said = values.per_block("attention.recurrent_layers", blocks)
        if said is not None:
            return tuple(bool(one) for one in said)
        interval = values.number("full_attention_interval") or 4
        return tuple((block + 1) % interval != 0 for block in range(blocks))
    return (False,) * blocks


def _state_bytes(values: GgufValues, heads: int) -> int:
    """``llama_hparams::n_embd_r`` and ``n_embd_s``: the convolution's inputs, and the state."""
    width = values.count("embedding_length")
    if wkv := values.count("wkv.head_size"):
        shifts = values.number("token_shift_count") or 2
        return FLOAT32_BYTES * width * (shifts + wkv)
    if short := values.count("shortconv.l_cache"):
        return FLOAT32_BYTES * width * (short - 1)
    kernel = values.count("ssm.conv_kernel")
    if kda := values.count("kda.head_dim"):
        return FLOAT32_BYTES * heads * kda * (3 * (kernel - 1 if kernel else 3) + kda)
    if values.architecture == "minimax-01":
        length = values.number("attention.key_length") or width // max(heads, 1)
        return FLOAT32_BYTES * heads * length * length
    inner, state = values.count("ssm.inner_size"), values.count("ssm.state_size")
    channels = inner + 2 * values.count("ssm.group_count") * state
    return FLOAT32_BYTES * (max(kernel - 1, 0) * channels + state * inner)
