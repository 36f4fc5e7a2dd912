"""Which engine serves a model, and why."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hydra_box.plan.engine_limits import (
    FORMAT_NAMES,
    NAMES,
    READS,
    VLLM_GOOD,
    able,
    capability,
    dotted,
    dropped,
    floor,
    readable,
)
from hydra_box.plan.words import gib, gpu_names, joined, short_name
from hydra_box.types import (
    CPU,
    Accelerator,
    Ask,
    EngineName,
    Frozen,
    Gpu,
    GpuCondition,
    Machine,
    Modality,
    Offer,
    Rejection,
)

SMALL_GPU_BYTES = 15 << 30
"""Below it vLLM's own 2 GiB (CUDA graphs, activations) are better spent on the model."""
TINY_MODEL_BYTES = 64 << 20
"""A model for trying things out; vLLM's own memory and its start of a minute are not worth it."""
NONE_HERE = (GpuCondition.NO_DRIVER, GpuCondition.NO_DEVICE)


class Attempt(Frozen, frozen=True, kw_only=True):
    """One way to serve the model, to be taken if it fits."""

    engine: EngineName
    accelerator: Accelerator
    offers: tuple[Offer, ...]
    gpus: tuple[Gpu, ...] = ()
    """Those that the engine may use."""
    useful: bool
    """The ways of full use: wholly on the GPUs, four bits or more, with a useful KV cache. Or,
    if false, the ways that are left."""
    reason: str
    """Why this engine, given that the attempts before did not fit."""


def choose_engines(
    ask: Ask, offers: Sequence[Offer], machine: Machine
) -> tuple[Attempt, ...] | Rejection:
    """The engines to try, in order, each with its reason; or why none can serve it.

    1. No engine serves such a model:
       a. it makes images: refused;
       b. there are only safetensors of an architecture that vLLM has dropped: refused.
    2. A GPU should be here and cannot be used, and the CPU was not asked for: refused.
    3. The CPU was asked for, or there is no GPU:
       a. vLLM was asked for by name and there are safetensors: vLLM, for testing;
       b. the engine asked for by name does not read what is on offer: refused;
       c. there is GGUF: llama.cpp;
       d. there are only safetensors: refused, vLLM on the CPU has to be asked for by name.
    4. llama.cpp was asked for by name: llama.cpp if there is GGUF (4a), else refused (4b).
    5. vLLM was asked for by name: vLLM if there are safetensors that a GPU here can compute (5a);
       refused for the format (5b) or because the GPUs are too old (5c).
    6. There is only GGUF: llama.cpp (6a), unless every GPU is too old (6b); or neither GGUF nor
       safetensors that vLLM has kernels for: refused (6c).
    7. There are only safetensors (AWQ, GPTQ and FP8 among them): vLLM if a GPU here can compute
       them (7a), else refused (7b).
    8. There are both, and every GPU is old (8a) or small (8b), or the model is tiny (8c):
       llama.cpp; vLLM if no GGUF fits.
    9. There are both, and a GPU of compute capability 8.0 and 15 GiB or more: vLLM if safetensors
       fit wholly with a useful KV cache (9a), else llama.cpp (9b), else vLLM with a smaller KV
       cache (9c).

    10. Weights that are on this machine already are tried before any that would be downloaded, as
        far as they fit wholly and usefully.
    """
    if offers[0].facts.modality is Modality.IMAGE:
        return _refused("the model makes images, and this version has no engine for images")
    if gone := dropped(offers):
        return _refused(
            f"vLLM served {gone[0]} up to version {gone[1]} and not since, and no GGUF is on offer"
        )
    if ask.device != CPU and not machine.gpus and expects_gpu(machine):
        return _refused(
            f"a GPU should be here and cannot be used: {_trouble(machine)}; the CPU does not "
            "take its place unless it is asked for"
        )
    on_cpu = ask.device == CPU or not machine.gpus
    found = _on_cpu(ask, offers) if on_cpu else _on_gpus(ask, offers, machine.gpus)
    if isinstance(found, Rejection):
        return found
    return (*_without_download(found), *found)


def expects_gpu(machine: Machine) -> bool:
    """There is a GPU, or there should be one: the CPU does not take its place in silence."""
    return bool(machine.gpus or machine.lost_gpus) or machine.gpu_condition not in NONE_HERE


def _on_cpu(ask: Ask, offers: Sequence[Offer]) -> tuple[Attempt, ...] | Rejection:
    where = "the CPU was asked for" if ask.device == CPU else "there is no GPU"
    engine = ask.engine or EngineName.LLAMA_CPP
    mine = readable(engine, offers)
    if not mine and ask.engine is None:
        return _refused(
            f"{where}, and llama.cpp, the engine for CPUs, reads GGUF: on offer are only "
            f"{_kinds(offers)}; vLLM on the CPU has to be asked for by name"
        )
    if not mine:
        return _cannot_read(engine, offers)
    if engine is EngineName.VLLM:
        reason = f"vLLM, as asked, and {where}: its CPU variant is for testing"
    else:
        reason = f"llama.cpp, because {where} and it is the engine for CPUs"
    return _attempts(engine, Accelerator.CPU, mine, (), reason)


def _on_gpus(
    ask: Ask, offers: Sequence[Offer], gpus: tuple[Gpu, ...]
) -> tuple[Attempt, ...] | Rejection:
    gguf = readable(EngineName.LLAMA_CPP, offers)
    safetensors = readable(EngineName.VLLM, offers)
    if ask.engine is not None:
        return _one_engine(ask.engine, offers, gpus, f"{NAMES[ask.engine]}, as asked")
    if not gguf and not safetensors:
        return _refused(f"no engine here computes {_kinds(offers)}")
    if not safetensors:
        reason = "llama.cpp, the engine that reads GGUF"
        return _one_engine(EngineName.LLAMA_CPP, offers, gpus, reason)
    if not gguf:
        reason = f"vLLM, the engine that reads {_kinds(safetensors)}"
        return _one_engine(EngineName.VLLM, offers, gpus, reason)
    good = tuple(one for one in gpus if capability(one) >= VLLM_GOOD)
    large = tuple(one for one in good if one.total_bytes >= SMALL_GPU_BYTES)
    tiny = min(one.facts.weight_bytes for one in safetensors) < TINY_MODEL_BYTES
    if large and not tiny:
        return _vllm_first(gguf, safetensors, gpus, large)
    return _llama_cpp_first(offers, gpus, good, tiny=tiny and bool(large))


def _vllm_first(
    gguf: tuple[Offer, ...],
    safetensors: tuple[Offer, ...],
    gpus: tuple[Gpu, ...],
    large: tuple[Gpu, ...],
) -> tuple[Attempt, ...]:
    useful, small = _attempts(
        EngineName.VLLM,
        Accelerator.CUDA,
        safetensors,
        large,
        "vLLM, because safetensors fit wholly on the GPU with a useful KV cache",
        "vLLM with a small KV cache, because no GGUF on offer fits",
    )
    llama = _attempts(
        EngineName.LLAMA_CPP,
        Accelerator.CUDA,
        gguf,
        gpus,
        "llama.cpp, because no safetensors fit wholly on the GPU with a useful KV cache",
    )
    return (useful, *llama, small)


def _llama_cpp_first(
    offers: Sequence[Offer], gpus: tuple[Gpu, ...], good: tuple[Gpu, ...], *, tiny: bool
) -> tuple[Attempt, ...] | Rejection:
    if tiny:
        why = "so small a model needs a hundredth of what vLLM takes for itself"
    elif good:
        why = (
            f"{short_name(good[0])} has {gib(good[0].total_bytes)}, too little to spend some on "
            "vLLM itself"
        )
    else:
        why = (
            f"{short_name(gpus[0])} has compute capability {dotted(capability(gpus[0]))}, and "
            f"vLLM is at its best from {dotted(VLLM_GOOD)} on"
        )
    first = _one_engine(EngineName.LLAMA_CPP, offers, gpus, f"llama.cpp, because {why}")
    last = _one_engine(EngineName.VLLM, offers, gpus, "vLLM, because no GGUF on offer fits")
    if isinstance(first, Rejection):
        return last
    return first if isinstance(last, Rejection) else (*first, *last)


def _one_engine(
    engine: EngineName, offers: Sequence[Offer], gpus: tuple[Gpu, ...], reason: str
) -> tuple[Attempt, ...] | Rejection:
    mine = readable(engine, offers)
    if not mine:
        return _cannot_read(engine, offers)
    possible = tuple(one for one in mine if able(engine, one.facts, gpus))
    if not possible:
        least = min(floor(engine, one.facts) for one in mine)
        newest = dotted(max(capability(one) for one in gpus))
        reason = (
            f"{NAMES[engine]} needs compute capability {dotted(least)} for this model, and "
            f"{gpu_names(gpus)} has {newest}"
        )
        return _refused(reason, engine)
    return _attempts(engine, Accelerator.CUDA, possible, gpus, reason)


def _attempts(
    engine: EngineName,
    accelerator: Accelerator,
    offers: tuple[Offer, ...],
    gpus: tuple[Gpu, ...],
    reason: str,
    else_reason: str | None = None,
) -> tuple[Attempt, Attempt]:
    useful = Attempt(
        engine=engine,
        accelerator=accelerator,
        offers=offers,
        gpus=gpus,
        useful=True,
        reason=reason,
    )
    return useful, msgspec.structs.replace(useful, useful=False, reason=else_reason or reason)


def _without_download(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    if all(one.path is not None for attempt in attempts for one in attempt.offers):
        return ()
    found = []
    one_engine = len({one.engine for one in attempts}) == 1
    for attempt in attempts:
        here = tuple(one for one in attempt.offers if one.path is not None)
        if attempt.useful and here:
            here_reason = f"{NAMES[attempt.engine]}, because it reads {_kinds(here)}, which is here"
            reason = attempt.reason if one_engine else here_reason
            found.append(msgspec.structs.replace(attempt, offers=here, reason=reason))
    return tuple(found)


def _cannot_read(engine: EngineName, offers: Sequence[Offer]) -> Rejection:
    format = READS[engine]
    reason = f"{NAMES[engine]} reads {FORMAT_NAMES[format]} here, and on offer"
    if any(one.facts.format is format for one in offers):
        reason = f"{NAMES[engine]} has no kernels for some of what it reads, and on offer"
    reason += f" are only {_kinds(offers)}"
    return _refused(reason, engine)


def _refused(reason: str, engine: EngineName | None = None) -> Rejection:
    return Rejection(reasons=(reason,), missing=(), alternatives=(), engine=engine)


def _trouble(machine: Machine) -> str:
    return "; ".join([machine.gpu_message, *(one.message for one in machine.lost_gpus)])


def _kinds(offers: Sequence[Offer]) -> str:
    words = (
        f"{FORMAT_NAMES[one.facts.format]} {one.facts.quantization or ''}".strip() for one in offers
    )
    return joined(list(dict.fromkeys(words)))
