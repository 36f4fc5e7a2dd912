"""What a loading vLLM is doing, from its log."""

from __future__ import annotations

import re

_STAGES = (
    (r"Resolved architecture|Using max model len", "reading the model's configuration"),
    (r"Initializing a V1 LLM engine", "starting its workers"),
    (r"Starting to load model", "loading the model"),
    (r"Loading \w+ checkpoint shards:\s+(\d+)% Completed", "reading the weights: {0} %"),
    (r"Loading weights took|Model loading took", "preparing the model"),
    (
        (
            r"Dynamo bytecode transform|Compiling a graph|Cache the graph"
            r"|Warming up model for the compilation|torch\.compile took"
        ),
        "compiling the model for this machine",
    ),
    (r"KV cache size:|GiB for KV cache|GiB memory for KV Cache", "making room for the KV cache"),
    (r"Capturing CUDA graphs[^:\n]*:\s+(\d+)%", "recording CUDA graphs: {0} %"),
    (r"init engine \(profile", "warming up"),
    (r"Starting vLLM server on|Application startup complete", "asking for a first token"),
    (r"to fall asleep|wake up the engine", "taking its weights back from the RAM"),
    (r"to wake up", "asking for a first token"),
)
"""Words of the log to what they mean."""

_MARKS = tuple((re.compile(words), meaning) for words, meaning in _STAGES)


def progress(log_tail: str) -> str | None:
    """What a loading process is doing: the stage that its log named last."""
    found = [
        (matches[-1].start(), meaning.format(*matches[-1].groups()))
        for pattern, meaning in _MARKS
        if (matches := list(pattern.finditer(log_tail)))
    ]
    return max(found)[1] if found else None
