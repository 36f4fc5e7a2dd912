"""What ``doctor`` says of the engines: the runtimes there are, and what could build others."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping

from hydra_box.config import Paths
from hydra_box.doctor.findings import ERROR, INFO, WARNING, finding
from hydra_box.engines import DISTRIBUTIONS
from hydra_box.engines.build_llama_cpp import check_toolchain
from hydra_box.engines.choice import eligible
from hydra_box.engines.cuda_toolkit import NO_NVCC, find_nvcc
from hydra_box.engines.security import known_hole
from hydra_box.errors import HydraError
from hydra_box.messages import BoxStatus
from hydra_box.types import LOCAL_ENGINES, Accelerator, EngineName, Finding, Gpu, Runtime

CHECK = "runtime"


def check_runtimes(
    box: BoxStatus, runtimes: Iterable[Runtime], gpus: Collection[Gpu]
) -> list[Finding]:
    """The runtimes that the daemon knows, and what they leave undone."""
    known = list(runtimes)
    findings = [_runtime(one) for one in known]
    coming = {
        engine.value
        for engine in LOCAL_ENGINES
        if any(not one.problem and one.verified_at is None for one in eligible(engine, known))
    }
    for engine, runtime in box.runtimes.items():
        if runtime is None and engine not in coming:
            hint = f"hydra-box engines install {engine}"
            if pinned := [one.id for one in known if one.pinned and one.engine.value == engine]:
                hint = f"hydra-box engines unpin {pinned[0]} lets others take its place"
            findings.append(finding(CHECK, ERROR, f"{engine} has no usable runtime", hint))
    if not any(one.engine is EngineName.VLLM for one in known):
        use = "serves safetensors models" if gpus else "is for machines with a GPU, mostly"
        text = f"vllm is not installed; it {use}"
        findings.append(finding(CHECK, INFO, text, "hydra-box engines install vllm"))
    usable = [one for one in known if one.verified_at is not None]
    if gpus and usable and all(one.accelerator is Accelerator.CPU for one in usable):
        text = f"{len(gpus)} GPUs, and no runtime that can use them"
        hint = "hydra-box engines install llama.cpp, or vllm: each for the GPUs that it finds"
        findings.append(finding(CHECK, WARNING, text, hint))
    return findings


def check_unverified(paths: Paths, environ: Mapping[str, str]) -> list[Finding]:
    """The runtimes there are, when there is no daemon that knows whether they work."""
    found = asyncio.run(_discover(paths, environ))
    if not found:
        hint = "install hydra-box again: a prebuilt llama.cpp is part of it"
        return [finding(CHECK, ERROR, "there is no runtime of any engine", hint)]
    text = "found; the daemon verifies it before it is used"
    return [
        _problem(one.id, hole)
        if (hole := known_hole(one))
        else finding(CHECK, INFO, f"{one.id}: {text}")
        for one in found
    ]


def check_compiler(environ: Mapping[str, str]) -> Finding:
    """Whether an engine can be built here."""
    try:
        check_toolchain(environ)
    except HydraError as error:
        text = f"{error.message}: only prebuilt runtimes can be used"
        return finding("compiler", WARNING, text, error.hint)
    return finding("compiler", INFO, "there is one for hydra-box engines install")


def check_cuda_compiler(environ: Mapping[str, str], gpus: Collection[Gpu]) -> list[Finding]:
    """Whether llama.cpp can be built for the GPUs, if there are any."""
    if not gpus:
        return []
    if found := find_nvcc(environ):
        return [finding("CUDA toolkit", INFO, f"{found}, for hydra-box engines install")]
    text = f"{NO_NVCC}: hydra-box engines install llama.cpp builds for the CPU"
    hint = "install NVIDIA's CUDA toolkit"
    return [finding("CUDA toolkit", WARNING, text, hint)]


async def _discover(paths: Paths, environ: Mapping[str, str]) -> list[Runtime]:
    return [
        runtime
        for distribution in DISTRIBUTIONS.values()
        for runtime in await distribution.discover(paths, environ)
    ]


def _runtime(runtime: Runtime) -> Finding:
    if runtime.problem:
        return _problem(runtime.id, runtime.problem)
    if runtime.verified_at is None:
        return finding(CHECK, INFO, f"{runtime.id} is not verified yet")
    pinned = ", and is pinned" if runtime.pinned else ""
    return finding(CHECK, INFO, f"{runtime.id} answered on the demo model{pinned}")


def _problem(runtime_id: str, problem: str) -> Finding:
    """A problem brings its own hint, or else trying again may help."""
    fact, _, hint = problem.partition("; hint: ")
    again = f"hydra-box engines verify {runtime_id} tries it again"
    return finding(CHECK, WARNING, f"{runtime_id}: {fact}", hint or again)
