"""What vLLM counts while it generates: ``usage`` in every event, when it is asked for it."""

from __future__ import annotations

import re
from functools import partial

from hydra_box.engines.counts import RunningCounts, Usage, read_usage

_FIELD = b'"usage":{'
_ADDED = re.compile(rb',"usage":\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}')


def _unasked(added: re.Match[bytes]) -> bytes:
    # Some versions show in text completions what is not set, here and around; none does in chats.
    return b',"usage":null' if b'"prompt_tokens_details":null' in added[0] else b""


def _read(events: bytes) -> Usage | None:
    start = events.rfind(_FIELD)
    return read_usage(events[start:].partition(b"\n")[0]) if start >= 0 else None


COUNTS = RunningCounts(
    stream_option=b'"continuous_usage_stats":true',
    field=_FIELD,
    final=b'"choices":[]',
    cut=partial(_ADDED.sub, _unasked),
    read=_read,
    final_is_total=True,
)
