"""What llama.cpp counts on the way: ``timings`` in every event, when it is asked for them.

While it reads the prompt it tells how far it is, with the tokens that the prompt has, from the
moment on at which it begins with it. So those are known also of a client that leaves before the
first token.

Its usage at the end is that of one choice; a stream of several has one for each.
"""

from __future__ import annotations

import re
from functools import partial

import msgspec

from hydra_box.engines.counts import RunningCounts, Usage, read_usage

_ADDED = re.compile(rb',"timings":\{[^}]*\}')
_TIMINGS = re.compile(rb'"timings":(\{[^}]*\})')
_PROGRESS = re.compile(rb'"prompt_progress":(\{[^}]*\})')


class _Timings(msgspec.Struct):
    cache_n: int = 0
    prompt_n: int = 0
    predicted_n: int = 0


class _Progress(msgspec.Struct):
    total: int = 0
    cache: int = 0


def _read(event: bytes) -> Usage | None:
    """The counts of an event; at the end there is usage beside them, which says the same."""
    if progress := _PROGRESS.search(event):
        return _read_progress(progress[1])
    found = _TIMINGS.findall(event)
    if not found:
        return read_usage(event)
    try:
        timings = msgspec.json.decode(found[-1], type=_Timings)
    except msgspec.DecodeError:
        return None
    return Usage(
        prompt_tokens=timings.cache_n + timings.prompt_n,
        cached_tokens=timings.cache_n,
        completion_tokens=timings.predicted_n,
    )


def _read_progress(text: bytes) -> Usage | None:
    try:
        progress = msgspec.json.decode(text, type=_Progress)
    except msgspec.DecodeError:
        return None
    return Usage(prompt_tokens=progress.total, cached_tokens=progress.cache)


COUNTS = RunningCounts(
    member=b'"timings_per_token":true,"return_progress":true',
    field=b'"timings":{',
    final=b'"usage"',
    cut=partial(_ADDED.sub, b""),
    read=_read,
    final_is_total=False,
    progress=b'"prompt_progress":{',
)
