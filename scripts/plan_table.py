#!/usr/bin/env python3
"""Write ``docs/plans.md``: what ``hydra-box plan`` says of every catalog entry on eight machines.

Both engines are taken to be installed, for CUDA and for the CPU; nothing is asked of the network,
so that sizes follow from the catalog's shapes. The same catalog and rules make the same bytes.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402 - the path has to be there first

from hydra_box.catalog import Catalog  # noqa: E402
from hydra_box.config import resolve_paths  # noqa: E402
from hydra_box.plan.availability import available_bytes  # noqa: E402
from hydra_box.plan.other_models import other_models  # noqa: E402
from hydra_box.plan.placement import place  # noqa: E402
from hydra_box.types import (  # noqa: E402
    LOCAL_ENGINES,
    Accelerator,
    Alternative,
    Ask,
    EngineAvailability,
    EngineName,
    Machine,
    ModelSpec,
    Plan,
    Rejection,
)
from tests.machines import NAMED  # noqa: E402

DOCUMENT = ROOT / "docs" / "plans.md"
GIB = 1 << 30
CPU = "cpu"
BOTH = (Accelerator.CUDA, Accelerator.CPU)
ENGINES = tuple(EngineAvailability(engine=one, accelerators=BOTH) for one in LOCAL_ENGINES)
NAMES = {EngineName.LLAMA_CPP: "llama.cpp", EngineName.VLLM: "vLLM"}
INTRODUCTION = """\
# What each model would do on eight machines

Made by `scripts/plan_table.py`, and checked by the tests to be what it makes: the answers of
`hydra-box plan MODEL`, without any option, for every entry of the catalog. Both engines are
installed, nothing else runs, and the hub was not asked: sizes of files that are not on the machine
follow from the model's shape in `models.toml`.

How to read it: **context x slots** is what one slot can hold, in tokens, times the sequences at
once; vLLM's sequences share the KV cache, which holds a few of that length or many short ones.
**Weights**, **KV cache**, **GPU** and **RAM** are GiB of one instance: the first two over all
devices, **GPU** all that it takes of each GPU that it uses, **RAM** all that it takes of the
machine's memory. **n/m layers** are those on the GPU, the output layer counted as one, where
llama.cpp splits a model between GPU and CPU. **Most** is the largest number of instances that fits.
"""


def catalog() -> tuple[ModelSpec, ...]:
    """The packaged catalog, without an owner's entries and without the hub."""
    with TemporaryDirectory() as empty:
        return Catalog.load(resolve_paths({"HYDRA_BOX_HOME": empty})).list()


def document() -> str:
    """The whole of ``docs/plans.md``."""
    specs = catalog()
    machines = {name: make() for name, make in NAMED.items()}
    results = {
        name: {spec.id: _decide(spec, specs, machine) for spec in specs}
        for name, machine in machines.items()
    }
    parts = [INTRODUCTION, "## At a glance\n", _overview(specs, results)]
    for name, machine in machines.items():
        parts.append(f"## {name}\n\n{_machine(machine)}\n")
        parts += _section(specs, results[name])
    return "\n".join(parts)


def _decide(spec: ModelSpec, specs: Sequence[ModelSpec], machine: Machine) -> Plan | Rejection:
    """As the daemon decides: where a model fits in no way, with other models that do."""

    def decide(one: ModelSpec) -> Plan | Rejection:
        return place(Ask(), one.offers, machine, ENGINES)

    result = decide(spec)
    if isinstance(result, Plan) or result.alternatives:
        return result
    return msgspec.structs.replace(result, alternatives=other_models(spec, specs, decide))


def _overview(specs: Iterable[ModelSpec], results: dict[str, dict[str, Plan | Rejection]]) -> str:
    rows = [
        (f"`{spec.id}`", *(_glance(found[spec.id]) for found in results.values())) for spec in specs
    ]
    return _table(("model", *results), rows)


def _glance(result: Plan | Rejection) -> str:
    if isinstance(result, Rejection):
        return "no"
    return f"{NAMES[result.engine]} {result.offer.facts.quantization or '?'}, {_where(result)}"


def _machine(machine: Machine) -> str:
    """The machine in a sentence: what it has, what of it is free, and what plans may take."""
    available = available_bytes(machine, ())
    gpus = [
        f"{one.name}: {_gib(one.total_bytes)} GiB, {_gib(one.free_bytes)} free, "
        f"{_gib(available[one.uuid])} to plan with"
        for one in machine.gpus
    ]
    ram = (
        f"RAM: {_gib(machine.ram_total_bytes)} GiB, {_gib(machine.ram_available_bytes)} free, "
        f"{_gib(available[CPU])} to plan with"
    )
    counted = [f"{number} x {text}" for text, number in Counter(gpus).items()]
    return "; ".join((*counted, ram, f"{machine.physical_cores} cores."))


def _section(specs: Sequence[ModelSpec], results: dict[str, Plan | Rejection]) -> list[str]:
    parts = []
    headers = (
        *("model", "engine", "quantisation", "where", "context x slots"),
        *("weights", "KV cache", "GPU", "RAM", "most"),
    )
    rows = [
        _plan_row(spec, result) for spec in specs if isinstance(result := results[spec.id], Plan)
    ]
    if rows:
        parts.append(_table(headers, rows))
    refused = [
        (f"`{spec.id}`", result.message, _alternatives(result.alternatives))
        for spec in specs
        if isinstance(result := results[spec.id], Rejection)
    ]
    if refused:
        parts.append(_table(("refused", "why", "what would fit"), refused))
    return parts


def _plan_row(spec: ModelSpec, plan: Plan) -> tuple[str, ...]:
    first = plan.placements[0]
    options = first.options
    on_gpus = Counter(_gib(one.total_bytes) for one in first.memory if one.device != CPU)
    on_cpu = sum(one.total_bytes for one in first.memory if one.device == CPU)
    return (
        f"`{spec.id}`",
        NAMES[plan.engine],
        plan.offer.facts.quantization or "?",
        _where(plan),
        f"{options.context_length:,} x {options.slots}",
        _gib(sum(one.weights_bytes for one in first.memory)),
        _gib(sum(one.kv_cache_bytes for one in first.memory)),
        " + ".join(f"{n} x {gib}" if n > 1 else gib for gib, n in on_gpus.items()) or "-",
        _gib(on_cpu),
        str(plan.most_instances),
    )


def _where(plan: Plan) -> str:
    """``CPU``, ``GPU``, ``4 GPUs``; with the layers on the GPU, where not all of them are."""
    first = plan.placements[0]
    if first.accelerator is Accelerator.CPU:
        return "CPU"
    gpus = "GPU" if len(first.devices) == 1 else f"{len(first.devices)} GPUs"
    layers = len(plan.offer.facts.layers) + 1
    if plan.engine is EngineName.VLLM or first.options.gpu_layers >= layers:
        return gpus
    return f"{gpus} {first.options.gpu_layers}/{layers} layers"


def _alternatives(found: Sequence[Alternative]) -> str:
    return "; ".join(one.message for one in found) or "nothing on this machine"


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    return "\n".join((line(headers), f"|{'---|' * len(headers)}", *map(line, rows), ""))


def _gib(count_bytes: int) -> str:
    """GiB: one decimal, two where it is less than 1."""
    if count_bytes == 0:
        return "-"
    gib = count_bytes / GIB
    return f"{gib:,.1f}" if gib >= 1 else f"{gib:.2f}"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
