"""Which runtimes of an engine may be used, and in which order: values in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hydra_box.errors import EngineUnavailable
from hydra_box.types import Accelerator, EngineName, Runtime, RuntimeSource

_LEAST_TO_MOST = (RuntimeSource.PATH, RuntimeSource.BUNDLED, RuntimeSource.BUILT)
_WHERE = {Accelerator.CPU: "the CPU", Accelerator.CUDA: "a GPU"}


def eligible(engine: EngineName, runtimes: Iterable[Runtime]) -> list[Runtime]:
    """Those of an engine, in their order; where its owner has pinned one, that one alone."""
    ours = [one for one in runtimes if one.engine.value == engine.value]
    return [one for one in ours if one.pinned] or ours


def candidates(
    engine: EngineName, accelerator: Accelerator, runtimes: Iterable[Runtime], *, has_gpu: bool
) -> list[Runtime]:
    """The eligible that compute on ``accelerator``, the most suitable first."""
    fitting = (one for one in eligible(engine, runtimes) if one.accelerator == accelerator)
    return sorted(fitting, key=lambda one: suitability(one, has_gpu), reverse=True)


def rank(runtime: Runtime, has_gpu: bool) -> tuple[bool, bool, bool, int, tuple[int, ...]]:
    """Sorts runtimes, best last: the pinned, those that work by their suitability, the others."""
    return runtime.pinned, runtime.verified_at is not None, *suitability(runtime, has_gpu)


def suitability(runtime: Runtime, has_gpu: bool) -> tuple[bool, int, tuple[int, ...]]:
    """Sorts runtimes, the most suitable last.

    1. One for what this machine has: a GPU, or only a CPU.
    2. Built here, then bundled, then found on the PATH.
    3. The newest version.
    """
    suits = (runtime.accelerator is Accelerator.CUDA) == has_gpu
    return suits, _LEAST_TO_MOST.index(runtime.source), version_numbers(runtime.version)


def version_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, which are in the order of versions."""
    return tuple(int(digits) for digits in re.findall(r"\d+", version))


def nothing_works(
    engine: EngineName, accelerator: Accelerator, runtimes: Sequence[Runtime]
) -> EngineUnavailable:
    """The error when none of an engine's eligible runtimes can be used; says why each cannot."""
    where = _WHERE[accelerator]
    if len(runtimes) == 1 and runtimes[0].pinned:
        (pinned,) = runtimes
        why = pinned.problem or "it is not verified"
        if pinned.accelerator != accelerator:
            why = f"it computes on {_WHERE[pinned.accelerator]}, and {where} is wanted"
        return EngineUnavailable(
            f"{pinned.id}, which is pinned as the only runtime of {engine}, cannot be used: {why}",
            hint=f"hydra-box engines unpin {pinned.id} lets others take its place",
        )
    tried = [one for one in runtimes if one.accelerator == accelerator]
    problems = "; ".join(f"{one.id}: {one.problem}" for one in tried)
    return EngineUnavailable(
        f"no runtime of {engine} works on {where} of this machine "
        f"({problems or 'none is installed'})",
        hint=f"hydra-box engines install {engine}",
    )
