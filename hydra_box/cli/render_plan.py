"""A plan on the terminal: what would run where, from what it was decided, and what to type."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from hydra_box.cli.memory_bar import WIDTH, Glyphs, devices, figure, label
from hydra_box.cli.output import count, size, style, table
from hydra_box.messages import PlanView
from hydra_box.types import CPU, Alternative, DeviceMemory, FactsSource, Placement, PlanOutcome

Command = Callable[[Alternative], str | None]
"""The command line that asks for an alternative; None: no command does."""

_SOURCES: Final = {
    FactsSource.FILE: "read from the model's files",
    FactsSource.HUB: "read from the hub, before any download",
    FactsSource.CATALOG: "computed from the shape in the catalog; the hub was not asked",
}


def plan(view: PlanView, chars: Glyphs, command: Command) -> str:
    """The whole plan, at most 80 columns wide where words and names allow it.

    Args:
        view: the plan.
        chars: what bars are made of.
        command: for the alternatives of one that does not fit.
    """
    parts = [_headline(view), devices(view.devices, chars)]
    if view.placements:
        parts.append(_memory(view))
    if view.missing:
        parts.append(_section("missing", (one.message for one in view.missing)))
    parts.append(_section("why", view.reasons, numbered=True))
    if view.alternatives:
        parts.append(_alternatives(view, command))
    if view.flags:
        parts.append(_flags(view.flags))
    parts.append(_notes(view))
    return "\n\n".join(part for part in parts if part)


def _headline(view: PlanView) -> str:
    if not view.fits:
        refused = "does not fit" if view.missing else "cannot run"
        lines = [f"{style(f'{view.model} {refused}', fg='red', bold=True)} on this machine"]
        if view.most_instances:
            lines.append(f"{count(view.most_instances, 'instance')} of it run now")
        return "\n".join(lines)
    served = " ".join(word for word in (str(view.engine), view.quantization) if word)
    lines = [f"{style(f'{view.model} fits', fg='green', bold=True)}: {served}"]
    if view.placements:
        lines.append(_wrapped("where     ", _where(view)))
    lines.append(f"size      {_size(view)}")
    if view.download_bytes:
        lines.append(f"download  {size(view.download_bytes)}, before it can start")
    if view.outcome is PlanOutcome.INSTALL_FIRST:
        command = style(f"hydra-box engines install {view.engine}", fg="cyan")
        lines.append(f"{style('install', fg='yellow')}   first: {command}")
    return "\n".join(lines)


def _size(view: PlanView) -> str:
    slots = count(view.slots or 0, "slot")
    context = f"{view.context_length or 0:,} tokens"
    more = view.most_instances > view.instances
    most = f"up to {view.most_instances} would fit" if more else "no more would fit"
    return f"{count(view.instances, 'instance')} of {slots} x {context}; {most}"


def _where(view: PlanView) -> str:
    """The devices of the instances: ``GPU 0 (RTX 4090)``, or ``1 each on GPU 0, GPU 1``."""
    names = {one.device: label(one.name) for one in view.devices}
    groups = Counter(_devices_of(one, names) for one in view.placements)
    if len(groups) == 1:
        return next(iter(groups))
    by_number: dict[int, list[str]] = {}
    for where, number in groups.items():
        by_number.setdefault(number, []).append(where.partition(" (")[0])
    return "; ".join(f"{number} each on {', '.join(on)}" for number, on in by_number.items())


def _devices_of(placement: Placement, names: dict[str, str]) -> str:
    used = [names.get(one, one) for one in placement.devices]
    where = used[0] if len(used) == 1 else f"{len(used)} GPUs"
    if placement.options.tensor_parallel > 1:
        return f"{where}, tensor parallel"
    if placement.devices != (CPU,) and _computes_on_cpu(placement):
        return f"{where}, {placement.options.gpu_layers} layers, the others on the CPU"
    return where


def _computes_on_cpu(placement: Placement) -> bool:
    """Whether layers are left on the CPU: these keep their cache there."""
    return any(one.device == CPU and one.kv_cache_bytes for one in placement.memory)


def _memory(view: PlanView) -> str:
    """Predicted bytes by part, of the first instance; devices that take the same share a line."""
    names = {one.device: label(one.name) for one in view.devices}
    groups: dict[tuple[int, ...], list[str]] = {}
    for one in view.placements[0].memory:
        groups.setdefault(_parts(one), []).append(names.get(one.device, one.device))
    headers = ("AN INSTANCE TAKES", "WEIGHTS", "KV CACHE", "COMPUTE", "OVERHEAD", "TOTAL")
    rows = [
        (_together(members), *(figure(part, 2) for part in (*parts, sum(parts))))
        for parts, members in groups.items()
    ]
    return table(headers, rows, right=range(1, len(headers)))


def _parts(memory: DeviceMemory) -> tuple[int, ...]:
    return (
        memory.weights_bytes,
        memory.kv_cache_bytes,
        memory.compute_bytes,
        memory.overhead_bytes,
    )


def _together(names: Sequence[str]) -> str:
    """One name, or ``8 devices, each``."""
    return names[0] if len(names) == 1 else f"{len(names)} devices, each"


def _alternatives(view: PlanView, command: Command) -> str:
    lines = [style("what would fit", bold=True)]
    for number, one in enumerate(view.alternatives, 1):
        lines.append(_wrapped(f"{number}. ", one.message))
        if words := command(one):
            lines.append(f"   {style(words, fg='cyan')}")
    return "\n".join(lines)


def _section(title: str, sentences: Iterable[str], *, numbered: bool = False) -> str:
    lines = [style(title, bold=True)]
    for number, sentence in enumerate(sentences, 1):
        lines.append(_wrapped(f"{number}. " if numbered else "- ", sentence))
    return "\n".join(lines)


def _wrapped(mark: str, sentence: str) -> str:
    return textwrap.fill(
        sentence,
        WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _flags(flags: Sequence[str]) -> str:
    """The flags as a shell takes them, an option and its value never on two lines."""
    lines = [""]
    for words in _options(flags):
        if lines[-1] and len(lines[-1]) + len(words) + 5 > WIDTH:
            lines.append("")
        lines[-1] += f" {words}" if lines[-1] else words
    return f"{style('flags', bold=True)}\n  " + " \\\n  ".join(lines)


def _options(flags: Sequence[str]) -> Iterator[str]:
    words: list[str] = []
    for flag in flags:
        if flag.startswith("--") and words:
            yield shlex.join(words)
            words = []
        words.append(flag)
    if words:
        yield shlex.join(words)


def _notes(view: PlanView) -> str:
    lines = []
    if view.facts_source is not None:
        lines.append(f"facts: {_SOURCES[view.facts_source]}")
    if (learned := view.correction) is not None:
        times = count(learned.samples, "time")
        lines.append(
            f"estimates for {learned.id} are multiplied by {learned.factor:.2f}, measured {times}"
        )
    return "\n".join(style(line, dim=True) for line in lines)
