"""llama.cpp's counters and slots, in the words that engines have in common."""

from __future__ import annotations

import msgspec

from hydra_box.engines.metrics import EngineMetrics, MetricsPage
from hydra_box.errors import EngineError


class _Slot(msgspec.Struct):
    n_ctx: int
    is_processing: bool
    n_prompt_tokens: int = 0
    """Of the prompt and of the answer so far."""


def understand(metrics: bytes, slots: bytes) -> EngineMetrics:
    """What its two pages say.

    Raises:
        EngineError: they are not understood.

    """
    page = MetricsPage(metrics)
    try:
        used = _used_ratio(msgspec.json.decode(slots, type=list[_Slot]))
    except msgspec.DecodeError as error:
        raise EngineError(f"the engine's slots are not understood: {error}") from error
    cached = page.find("llamacpp:prompt_tokens_cached_total")
    read = page.find("llamacpp:prompt_tokens_total")
    return EngineMetrics(
        running=page.need("llamacpp:requests_processing"),
        waiting=page.need("llamacpp:requests_deferred"),
        kv_cache_used_ratio=used,
        # Its own count of prompts is without what was in the cache.
        prompt_tokens=None if read is None or cached is None else read + cached,
        cached_tokens=cached,
        completion_tokens=page.find("llamacpp:tokens_predicted_total"),
        prefill_seconds=page.find("llamacpp:prompt_seconds_total"),
        decode_seconds=page.find("llamacpp:tokens_predicted_seconds_total"),
        steps=page.find("llamacpp:n_decode_total"),
        sequences_per_step=page.find("llamacpp:n_busy_slots_per_decode"),
        drafts=page.find("llamacpp:spec_decode_num_drafts_total"),
        drafted_tokens=page.find("llamacpp:spec_decode_num_draft_tokens_total"),
        accepted_tokens=page.find("llamacpp:spec_decode_num_accepted_tokens_total"),
    )


def _used_ratio(slots: list[_Slot]) -> float:
    """What the sequences under way hold; prompts that are only remembered give way to new ones."""
    room = sum(slot.n_ctx for slot in slots)
    used = sum(slot.n_prompt_tokens for slot in slots if slot.is_processing)
    return min(1.0, used / room) if room else 0.0
