"""What a native build leaves out once the machine traps on one of its instructions.

A virtual machine may announce a CPU feature and still trap on it (SIGILL). The kernel does not
say which one it was, so the newest of those announced is left out first, then the next.
"""

from __future__ import annotations

from collections.abc import Collection

from hydra_box.types import Frozen


class Feature(Frozen, frozen=True, kw_only=True):
    """A group of CPU instructions and what builds llama.cpp without them."""

    name: str
    announced_by: frozenset[str]
    """Flags of ``/proc/cpuinfo``, any of which means that a native build uses it."""
    compiler_flags: tuple[str, ...] = ()
    cmake_options: tuple[str, ...] = ()


LADDER = (
    Feature(
        name="AMX",
        announced_by=frozenset({"amx_tile", "amx_int8", "amx_bf16"}),
        compiler_flags=("-mno-amx-tile", "-mno-amx-int8", "-mno-amx-bf16"),
    ),
    Feature(
        name="AVX-512",
        announced_by=frozenset({"avx512f"}),
        compiler_flags=("-mno-avx512f",),
    ),
    Feature(
        name="AVX-VNNI",
        announced_by=frozenset({"avx_vnni"}),
        compiler_flags=("-mno-avxvnni",),
    ),
    Feature(
        name="AVX2 and FMA",
        announced_by=frozenset({"avx2", "fma"}),
        compiler_flags=("-mno-avx2", "-mno-fma"),
    ),
    Feature(
        name="SVE",
        announced_by=frozenset({"sve", "sve2", "sme"}),
        cmake_options=("-DGGML_NATIVE=OFF", "-DGGML_CPU_ARM_ARCH=armv8-a"),
    ),
)
"""Newest first. The options of a later step are added to those of the earlier ones."""


def next_without(cpu_flags: Collection[str], without: Collection[str]) -> Feature | None:
    """The feature to leave out next.

    Args:
        cpu_flags: what the CPU announces, as ``/proc/cpuinfo`` names it.
        without: names of the features that are left out already.

    Returns:
        None when every announced feature of the ladder is left out: something else traps.

    """
    flags = frozenset(cpu_flags)
    return next(
        (one for one in LADDER if one.name not in without and one.announced_by & flags), None
    )


def compiler_flags(without: Collection[str]) -> tuple[str, ...]:
    """Flags for the C and the C++ compiler; they win over ``-march=native``."""
    return tuple(flag for one in LADDER if one.name in without for flag in one.compiler_flags)


def cmake_options(without: Collection[str]) -> tuple[str, ...]:
    """Options for CMake."""
    return tuple(option for one in LADDER if one.name in without for option in one.cmake_options)


def parse_cpu_flags(cpuinfo: str) -> frozenset[str]:
    """The flags in the text of ``/proc/cpuinfo`` (``flags`` on x86-64, ``Features`` on arm64)."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()
