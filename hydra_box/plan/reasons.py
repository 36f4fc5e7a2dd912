"""Why a plan is as it is, and what is missing where there is none: sentences for people."""

from __future__ import annotations

from collections.abc import Sequence

from hydra_box.plan.engine_choice import Attempt
from hydra_box.plan.engine_limits import NAMES
from hydra_box.plan.layout import Layout, Site, how_many_fit
from hydra_box.plan.llama_cpp_setup import is_one_batch, is_whole
from hydra_box.plan.quality import named
from hydra_box.plan.sizes import USEFUL_CONTEXT, VECTOR_MODALITIES
from hydra_box.plan.words import counted, gib, gpu_name, gpu_names
from hydra_box.types import (
    CPU,
    Ask,
    EngineName,
    FactsSource,
    Gpu,
    Modality,
    Offer,
    Shortfall,
    WeightFormat,
)


def plan_reasons(
    site: Site,
    ask: Ask,
    offers: Sequence[Offer],
    attempt: Attempt,
    layout: Layout,
    groups: Sequence[Sequence[str]],
) -> list[str]:
    """One sentence for each decision; where it runs, with its bytes, is the last."""
    found = [attempt.reason, _quantization(ask, offers, layout), _size(ask, layout)]
    notes = _notes(layout)
    return [*found, *notes, _where(site, layout, groups)]


def _quantization(ask: Ask, offers: Sequence[Offer], layout: Layout) -> str:
    facts = layout.offer.facts
    name = named(layout.offer)
    size = gib(facts.weight_bytes)
    if ask.quantization is not None:
        return f"{name}, as asked: {size} of weights"
    same = [one for one in offers if one.facts.format is facts.format]
    if len(same) == 1:
        kind = "GGUF" if facts.format is WeightFormat.GGUF else "safetensors"
        return f"{name}, the only {kind} on offer: {size} of weights"
    if layout.offer.path is not None and any(one.path is None for one in offers):
        return f"{name}, which is on this machine already: {size} of weights"
    if not layout.ground.width:
        return f"{name}, which a CPU reads fast enough at little loss: {size} of weights"
    if layout.engine is EngineName.LLAMA_CPP and not is_whole(layout):
        return f"{name}, of which the most layers fit the GPU at little loss: {size} of weights"
    return f"{name}, the best on offer that fits: {size} of weights"


def _size(ask: Ask, layout: Layout) -> str:
    options = layout.options
    context = f"{options.context_length:,} tokens of context"
    trained = layout.offer.facts.context_length
    if ask.context_length is not None:
        context += ", as asked"
    elif options.context_length == trained:
        context += ", all that the model was trained for"
    elif is_one_batch(layout):
        context += ", what an embedding's one batch holds"
    elif options.context_length < min(trained, USEFUL_CONTEXT):
        context += ", because more does not fit"
    slots = counted(options.slots, "slot")
    if ask.slots is not None:
        slots += ", as asked"
    if layout.engine is EngineName.VLLM and options.kv_cache_bytes:
        ranks = " on each GPU" if options.tensor_parallel > 1 else ""
        slots += f", which share a KV cache of {gib(options.kv_cache_bytes)}{ranks}"
    return f"{context}; {slots}"


def _notes(layout: Layout) -> list[str]:
    facts = layout.offer.facts
    notes = []
    if facts.source is FactsSource.CATALOG:
        notes.append("sizes computed from the catalog's numbers, as the files were not looked at")
    llama = layout.engine is EngineName.LLAMA_CPP
    if llama and facts.modality is Modality.VISION and not facts.projector_bytes:
        notes.append("text only: there is no projector file (mmproj) for images")
    if (
        llama
        and facts.modality in VECTOR_MODALITIES
        and layout.options.batch_tokens < layout.options.context_length
    ):
        notes.append(f"an input may have {layout.options.batch_tokens:,} tokens, one batch")
    return notes


def _where(site: Site, layout: Layout, groups: Sequence[Sequence[str]]) -> str:
    needs = layout.needs
    total = sum(needs.gpus) or needs.cpu
    if not layout.ground.width:
        room = gib(site.available[CPU])
        each = "" if site.instances == 1 else " each"
        return f"on the CPU: {gib(total)} of RAM{each}, of {room} available"
    by_id = {one.uuid: one for one in site.gpus}
    devices = [by_id[one] for one in groups[0]]
    if site.instances > 1:
        used = sorted(
            {uuid for group in groups for uuid in group}, key=lambda one: by_id[one].index
        )
        devices = [by_id[one] for one in used]
        text = f"{counted(site.instances, 'instance')} on {gpu_names(devices)}"
    else:
        text = f"on {gpu_names(devices)}"
    text += f": {_bytes(site, layout, devices)}"
    return text + _how(layout, [by_id[one] for one in groups[0]])


def _bytes(site: Site, layout: Layout, devices: Sequence[Gpu]) -> str:
    most = max(layout.needs.gpus)
    room = min(site.available[one.uuid] for one in devices)
    on_each = " each" if len(devices) > 1 or site.instances > 1 else ""
    if layout.ground.exact:
        return f"{gib(sum(layout.needs.gpus))} over all"
    return f"{gib(most)}{on_each}, of {gib(room)} available"


def _how(layout: Layout, group: Sequence[Gpu]) -> str:
    blocks = len(layout.offer.facts.layers) + 1
    layers = layout.options.gpu_layers
    if layout.engine is EngineName.LLAMA_CPP and layers < blocks:
        return f"; {layers} of {blocks} layers there, the rest on the CPU ({gib(layout.needs.cpu)})"
    if len(group) < 2:
        return ""
    first, rest = group[0], [one.uuid for one in group[1:]]
    linked = " over NVLink" if set(rest) <= set(first.nvlink_peers) else ""
    if layout.engine is EngineName.VLLM:
        return f"; {len(group)} tensor parallel ranks{linked}"
    return "; layers split over them"


def shortfalls(site: Site, layout: Layout) -> tuple[Shortfall, ...]:
    """What each device lacks for one instance more than fits; only those that lack something."""
    ground, needs = layout.ground, layout.needs
    room = dict(site.available)
    asked = site.instances
    if not ground.width:
        return (_of_ram(needs.cpu * asked, room[CPU]),)
    by_device: dict[str, int] = {}
    if ground.exact:
        by_device = {
            gpu.uuid: need * asked for gpu, need in zip(ground.pools[0], needs.gpus, strict=True)
        }
    else:
        for gpu in (one for pool in ground.pools for one in pool):
            more = room[gpu.uuid] // max(1, needs.rank) + 1 if asked > 1 else 1
            by_device[gpu.uuid] = needs.rank * more
    found = [
        _of_gpu(gpu, by_device[gpu.uuid], room[gpu.uuid])
        for gpu in site.gpus
        if by_device.get(gpu.uuid, 0) > room[gpu.uuid]
    ]
    if needs.cpu * asked > room[CPU]:
        found.append(_of_ram(needs.cpu * asked, room[CPU]))
    return tuple(found)


def _of_gpu(gpu: Gpu, needed: int, available: int) -> Shortfall:
    return Shortfall(
        device=gpu.uuid,
        needed_bytes=needed,
        available_bytes=available,
        message=f"needs {gib(needed)}; {gpu_name(gpu)} has {gib(available)} free",
    )


def _of_ram(needed: int, available: int) -> Shortfall:
    return Shortfall(
        device=CPU,
        needed_bytes=needed,
        available_bytes=available,
        message=f"needs {gib(needed)}; the CPU has {gib(available)} of RAM free",
    )


def refusal(site: Site, layout: Layout) -> str:
    """What an engine's nearest way lacks, in one sentence."""
    options = layout.options
    needs = layout.needs
    what = (
        f"{NAMES[layout.engine]}: {named(layout.offer)} with {options.context_length:,} tokens of "
        f"context and {counted(options.slots, 'slot')}"
    )
    fit = how_many_fit(site, layout)
    if fit:
        more = " more" if site.running else ""
        return (
            f"{what} fits {counted(fit, 'time')}{more}, and {site.instances}{more} instances are "
            "asked for"
        )
    missing = shortfalls(site, layout)
    if layout.ground.width < 2 or missing[0].device == CPU:
        too_little = layout.engine is EngineName.LLAMA_CPP and layout.ground.width > 0
        partly = ", too little to share it with the CPU" if too_little else ""
        return f"{what} {missing[0].message}{partly}"
    pool = layout.ground.pools[0]
    room = sum(sorted(site.available[one.uuid] for one in pool)[-layout.ground.width :])
    return (
        f"{what} needs {gib(sum(needs.gpus))} over {layout.ground.width} GPUs; {gpu_names(pool)} "
        f"have {gib(room)} free"
    )


def lacking(site: Site, layout: Layout) -> int:
    """Bytes by which a layout misses."""
    return sum(one.needed_bytes - one.available_bytes for one in shortfalls(site, layout))
