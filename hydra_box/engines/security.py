"""Which versions of the engines have known holes; a runtime that has one is not used.

Only holes that a request or a model's file could reach here, with the version that its advisory
names as fixed.
"""

from __future__ import annotations

import re

from hydra_box.types import EngineName, Frozen, Runtime, RuntimeSource

Version = tuple[int, ...]


class Hole(Frozen, frozen=True, kw_only=True):
    """A hole that was published."""

    name: str
    engine: EngineName
    since: Version = (0,)
    """The first version that has it."""
    fixed: Version
    """The first that has it no more; llama.cpp counts builds."""
    what: str


HOLES = (
    Hole(
        name="CVE-2026-33298",
        engine=EngineName.LLAMA_CPP,
        fixed=(7824,),
        what="a crafted GGUF file overflows the sizes of its tensors",
    ),
    Hole(
        name="CVE-2026-27940",
        engine=EngineName.LLAMA_CPP,
        fixed=(8146,),
        what="a crafted GGUF file writes over the heap while it is read",
    ),
    Hole(
        name="CVE-2025-62164",
        engine=EngineName.VLLM,
        since=(0, 10, 2),
        fixed=(0, 11, 1),
        what="prompt embeddings in a request write out of bounds",
    ),
    Hole(
        name="CVE-2026-22807",
        engine=EngineName.VLLM,
        since=(0, 10, 1),
        fixed=(0, 14, 0),
        what="a model's repository runs its own code although that is turned off",
    ),
    Hole(
        name="CVE-2026-22778",
        engine=EngineName.VLLM,
        since=(0, 8, 3),
        fixed=(0, 14, 1),
        what="a crafted video in a request runs code",
    ),
    Hole(
        name="CVE-2026-24779",
        engine=EngineName.VLLM,
        fixed=(0, 14, 1),
        what="an image URL in a request passes the list of allowed hosts",
    ),
    Hole(
        name="CVE-2026-34756",
        engine=EngineName.VLLM,
        since=(0, 1, 0),
        fixed=(0, 19, 0),
        what="a request with a huge n takes all memory",
    ),
)


def known_hole(runtime: Runtime) -> str | None:
    """Why the runtime must not be used: the holes that are known in its version.

    Returns:
        None if none is known, or if the version does not tell (one that somebody built from
        sources).

    """
    version = comparable_version(runtime)
    if version is None:
        return None
    here = [
        one
        for one in HOLES
        if one.engine.value == runtime.engine.value and one.since <= version < one.fixed
    ]
    if not here:
        return None
    named = "; ".join(f"{one.name} ({one.what})" for one in here)
    fixed = max(one.fixed for one in here)
    return (
        f"{runtime.engine} {runtime.version} has known security holes: {named}; "
        f"hint: use {_shown(runtime.engine, fixed)} or newer"
    )


def comparable_version(runtime: Runtime) -> Version | None:
    """The version as numbers, in the count that ``HOLES`` uses.

    1. vLLM: its release, ``0.32.0``.
    2. llama.cpp on the PATH: its build, ``6710`` or ``b6710``; ``0.5.0-dev`` has no build.
    3. llama.cpp, bundled: the last part of ``2026.10.11549`` is the build inside.
    4. llama.cpp, built here: pinned by its hash, so nothing to judge.
    """
    if runtime.engine is EngineName.VLLM:
        found = re.match(r"(\d+)\.(\d+)\.(\d+)", runtime.version)
        return tuple(int(part) for part in found.groups()) if found else None
    patterns = {
        RuntimeSource.PATH: r"b?(\d+)",
        RuntimeSource.BUNDLED: r"\d+\.\d+\.(\d+)",
    }
    if runtime.source not in patterns:
        return None
    build = re.fullmatch(patterns[runtime.source], runtime.version)
    return (int(build[1]),) if build else None


def _shown(engine: EngineName, version: Version) -> str:
    numbers = ".".join(str(number) for number in version)
    return f"b{numbers}" if engine is EngineName.LLAMA_CPP else numbers
