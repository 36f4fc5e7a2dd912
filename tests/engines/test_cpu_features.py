"""Which CPU feature a build leaves out next."""

from __future__ import annotations

import pytest

from hydra_box.engines.cpu_features import (
    cmake_options,
    compiler_flags,
    next_without,
    parse_cpu_flags,
)

SAPPHIRE_RAPIDS = {"avx2", "fma", "avx512f", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
HASWELL = {"avx2", "fma"}


@pytest.mark.parametrize(
    ("cpu_flags", "without", "next_one"),
    [
        (SAPPHIRE_RAPIDS, (), "AMX"),
        (SAPPHIRE_RAPIDS, ("AMX",), "AVX-512"),
        (SAPPHIRE_RAPIDS, ("AMX", "AVX-512"), "AVX-VNNI"),
        (SAPPHIRE_RAPIDS, ("AMX", "AVX-512", "AVX-VNNI"), "AVX2 and FMA"),
        (SAPPHIRE_RAPIDS, ("AMX", "AVX-512", "AVX-VNNI", "AVX2 and FMA"), None),
        (HASWELL, (), "AVX2 and FMA"),
        (HASWELL, ("AVX2 and FMA",), None),
        ({"asimd", "sve"}, (), "SVE"),
        ({"asimd"}, (), None),
        (set(), (), None),
    ],
)
def test_newest_announced_feature_goes_first(
    cpu_flags: set[str], without: tuple[str, ...], next_one: str | None
) -> None:
    feature = next_without(cpu_flags, without)
    assert (feature.name if feature else None) == next_one


def test_flags_add_up() -> None:
    assert compiler_flags(("AMX", "AVX-512")) == (
        "-mno-amx-tile",
        "-mno-amx-int8",
        "-mno-amx-bf16",
        "-mno-avx512f",
    )
    assert compiler_flags(()) == ()
    assert cmake_options(("SVE",)) == ("-DGGML_NATIVE=OFF", "-DGGML_CPU_ARM_ARCH=armv8-a")


@pytest.mark.parametrize(
    ("cpuinfo", "flags"),
    [
        ("model name\t: X\nflags\t\t: fpu avx2\nbugs\t: y\n", {"fpu", "avx2"}),
        ("Features\t: asimd sve\n", {"asimd", "sve"}),
        ("", set()),
    ],
)
def test_cpuinfo_of_both_architectures_is_read(cpuinfo: str, flags: set[str]) -> None:
    assert parse_cpu_flags(cpuinfo) == flags
