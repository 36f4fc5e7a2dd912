"""Headers that lie: no crash, no memory by the file's numbers, no time by them."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.errors import InvalidModel
from hydra_box.models.gguf_header import read_header
from hydra_box.models.safetensors_header import read_tensors
from hydra_box.types import ModelFacts
from tests.models.headers import facts_of

HUGE = st.sampled_from([0, 1, 2, 7, 255, 2**16, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1])
MOST_BYTES = 4 * 1024 * 1024
MOST_SECONDS = 5.0


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


@st.composite
def gguf_values(draw: st.DrawFn) -> bytes:
    """One key with a value whose type and lengths need not be true."""
    kind = draw(st.integers(0, 14))
    key = text(draw(st.binary(max_size=12)), draw(st.none() | HUGE))
    if kind == 9:
        inner = draw(st.integers(0, 14))
        body = struct.pack("<IQ", inner, draw(HUGE)) + draw(st.binary(max_size=40))
    elif kind == 8:
        body = text(draw(st.binary(max_size=40)), draw(st.none() | HUGE))
    else:
        body = draw(st.binary(min_size=8, max_size=8))
    return key + struct.pack("<I", kind) + body


@st.composite
def gguf_tensors(draw: st.DrawFn) -> bytes:
    """One tensor with dimensions, a type and a place that need not be true."""
    dimensions = draw(st.lists(HUGE, max_size=5))
    count = draw(st.just(len(dimensions)) | st.integers(0, 2**32 - 1))
    shape = struct.pack(f"<I{len(dimensions)}Q", count, *dimensions)
    return text(b"blk.0.x") + shape + struct.pack("<IQ", draw(st.integers(0, 50)), draw(HUGE))


@st.composite
def gguf_files(draw: st.DrawFn) -> bytes:
    """A whole header of those."""
    values = draw(st.lists(gguf_values(), max_size=4))
    tensors = draw(st.lists(gguf_tensors(), max_size=4))
    counts = [draw(st.just(len(one)) | HUGE) for one in (tensors, values)]
    return b"GGUF" + struct.pack("<IQQ", 3, *counts) + b"".join([*values, *tensors])


def bounded(read: Callable[[], object]) -> None:
    """Read, allowing nothing but ``ValueError``, and no more than a file of that size costs."""
    started = time.thread_time()
    tracemalloc.start()
    try:
        with contextlib.suppress(ValueError):
            read()
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    assert time.thread_time() - started < MOST_SECONDS


@settings(max_examples=300)
@given(content=gguf_files(), missing=st.integers(0, 30), size=HUGE)
def test_gguf_headers(content: bytes, missing: int, size: int) -> None:
    cut = content[: len(content) - missing]
    # The hub tells a size, which need not be true either.
    for claimed in (len(cut), size):
        bounded(lambda claimed=claimed: read_header(io.BytesIO(cut), claimed))  # type: ignore[misc]


NUMBERS = st.integers() | st.floats() | st.text(max_size=3) | st.none()
ENTRIES = st.dictionaries(
    st.sampled_from(["dtype", "shape", "data_offsets", "more"]),
    st.sampled_from(["F16", "F4", "BF16", "U9"]) | st.lists(NUMBERS, max_size=20) | NUMBERS,
)


@settings(max_examples=300)
@given(
    tensors=st.dictionaries(st.text(max_size=8), ENTRIES, max_size=4),
    claimed=st.none() | HUGE,
    size=HUGE,
)
def test_safetensors_headers(
    tensors: dict[str, dict[str, object]], claimed: int | None, size: int
) -> None:
    body = json.dumps(tensors).encode()
    length = len(body) if claimed is None else claimed
    content = struct.pack("<Q", length) + body + bytes(64)
    for told in (len(content), size):
        bounded(lambda told=told: read_tensors(io.BytesIO(content), told))  # type: ignore[misc]


def test_a_header_of_nothing_but_texts_takes_bounded_time() -> None:
    texts = 2_000_000
    array = struct.pack("<IIQ", 9, 8, texts) + bytes(8 * texts)
    content = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text(b"k") + array
    started = time.thread_time()
    header = read_header(io.BytesIO(content), len(content))
    assert time.thread_time() - started < MOST_SECONDS
    assert header.lengths == {"k": texts}


VALUES = st.dictionaries(
    st.sampled_from(
        [
            "block_count",
            "embedding_length",
            "attention.head_count",
            "attention.head_count_kv",
            "attention.key_length",
            "attention.key_length_mla",
            "attention.value_length_mla",
            "attention.kv_lora_rank",
            "attention.sliding_window",
            "attention.sliding_window_pattern",
            "attention.shared_kv_layers",
            "attention.recurrent_layers",
            "full_attention_interval",
            "nextn_predict_layers",
            "ssm.conv_kernel",
            "ssm.inner_size",
            "ssm.state_size",
            "pooling_type",
            "feed_forward_length",
            "expert_count",
            "vocab_size",
            "context_length",
        ]
    ),
    st.integers(0, 2**32 - 1) | st.integers(0, 8) | st.lists(st.integers(0, 9), min_size=1),
    min_size=4,
)
ARCHITECTURES = [
    "llama", "gemma3", "gemma3n", "gemma4", "deepseek2", "qwen3next", "nemotron_h", "falcon-h1",
    "lfm2", "mamba", "rwkv7", "bert", "glm4moe", "llama4", "exaone4", "unheard-of",
]  # fmt: skip


@settings(max_examples=300)
@given(architecture=st.sampled_from(ARCHITECTURES), values=VALUES)
def test_impossible_hyper_parameters(
    tmp_path_factory: pytest.TempPathFactory, architecture: str, values: dict[str, int]
) -> None:
    facts: ModelFacts | None = None
    with contextlib.suppress(InvalidModel):
        facts = facts_of(tmp_path_factory.mktemp("hyper"), architecture, values)
    if facts is not None:
        assert len(facts.layers) == len(facts.layer_weight_bytes) <= 1024
        assert all(layer.kv_heads >= 0 and layer.state_bytes >= 0 for layer in facts.layers)
