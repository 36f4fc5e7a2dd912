"""Sizes, devices and times in words, for reasons and shortfalls."""

from __future__ import annotations

from collections.abc import Sequence

from hydra_box.types import Gpu

GIB = 1 << 30
_MAKERS = ("NVIDIA GeForce ", "NVIDIA ")


def gib(size_bytes: int) -> str:
    """``22.1 GiB``; below a tenth two decimals, so that little does not read as nothing."""
    if 0 < size_bytes < GIB / 10:
        return f"{max(0.01, size_bytes / GIB):.2f} GiB"
    return f"{size_bytes / GIB:,.1f} GiB"


def short_name(gpu: Gpu) -> str:
    """``RTX 4090``, ``H200 3g.71gb``."""
    name = gpu.name
    for maker in _MAKERS:
        name = name.removeprefix(maker)
    if gpu.mig_profile and gpu.mig_profile not in name:
        name = f"{name} {gpu.mig_profile}"
    return name


def gpu_name(gpu: Gpu) -> str:
    """``GPU 0 (RTX 4090)``."""
    return f"GPU {gpu.index} ({short_name(gpu)})"


def gpu_names(gpus: Sequence[Gpu]) -> str:
    """``GPU 0 (RTX 4090)``; ``GPUs 0 and 1 (RTX 3090)``; each with its name if they differ."""
    if len(gpus) == 1:
        return gpu_name(gpus[0])
    if len({short_name(one) for one in gpus}) == 1:
        return f"GPUs {joined([str(one.index) for one in gpus])} ({short_name(gpus[0])})"
    return joined([gpu_name(one) for one in gpus])


def joined(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def counted(count: int, noun: str) -> str:
    """``1 instance``, ``2 instances``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def time_left(seconds: int) -> str:
    """``40 s``, ``12 min``, ``8 h 50 min``, ``3 d 9 h``: rounded up, so that nobody is early."""
    if seconds < 60:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    if minutes < 24 * 60:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = -(-seconds // 3600)
    return _two(hours // 24, "d", hours % 24, "h")


def _two(larger: int, unit: str, smaller: int, smaller_unit: str) -> str:
    parts = ((larger, unit), (smaller, smaller_unit))
    return " ".join(f"{number} {name}" for number, name in parts if number)
