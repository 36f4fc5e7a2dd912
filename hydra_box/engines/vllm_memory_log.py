"""What vLLM says in its log that it allocated on GPUs.

The first worker names its weights and its CUDA graphs, and every worker the KV cache that it was
told to take, in GiB with two decimals. Sources: ``gpu_model_runner.py`` and ``gpu_worker.py`` of
vLLM 0.32. On the CPU it names only the KV cache.
"""

from __future__ import annotations

import re

from hydra_box.engines.base import MemoryReport

GIB = 1 << 30

_WEIGHTS = re.compile(r"Model loading took ([\d.]+) GiB memory")
_CACHE = re.compile(r"reserved ([\d.]+) GiB memory for KV Cache")
_GRAPHS = re.compile(r"Graph capturing finished in \d+ secs, took (-?[\d.]+) GiB")
_WORKERS = re.compile(r"\btensor_parallel_size=(\d+)")


def report(log: str) -> MemoryReport | None:
    """Weights, KV cache and CUDA graphs of all workers, who are alike; None without weights."""
    weights = _last(_WEIGHTS, log)
    if weights is None:
        return None
    one = weights + (_last(_CACHE, log) or 0.0) + (_last(_GRAPHS, log) or 0.0)
    return MemoryReport(total_bytes=int(one * (_last(_WORKERS, log) or 1) * GIB))


def _last(pattern: re.Pattern[str], log: str) -> float | None:
    found = pattern.findall(log)
    return float(found[-1]) if found else None
