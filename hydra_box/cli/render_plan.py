"""A plan on the terminal: what would run where, from what it was decided, and what to type."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from hydra_box.cli.memory_bar import WIDTH, Glyphs, devices, figure, label
from hydra_box.cli.output import style, table
from hydra_box.messages import PlanView
from hydra_box.shown import plans
from hydra_box.shown.numbers import count, size
from hydra_box.types import Alternative, PlanOutcome

Command = Callable[[Alternative], str | None]
"""The command line that asks for an alternative; None: no command does."""


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
        lines.append(_wrapped("where     ", plans.where(view, _names(view))))
    lines.append(f"size      {plans.extent(view)}")
    if view.download_bytes:
        lines.append(f"download  {size(view.download_bytes)}, before it can start")
    if view.outcome is PlanOutcome.INSTALL_FIRST:
        command = style(f"hydra-box engines install {view.engine}", fg="cyan")
        lines.append(f"{style('install', fg='yellow')}   first: {command}")
    return "\n".join(lines)


def _names(view: PlanView) -> dict[str, str]:
    """The devices, short, by UUID."""
    return {one.device: label(one.name) for one in view.devices}


def _memory(view: PlanView) -> str:
    """Predicted bytes by part, of the first instance; devices that take the same share a line."""
    headers = ("AN INSTANCE TAKES", "WEIGHTS", "KV CACHE", "COMPUTE", "OVERHEAD", "TOTAL")
    rows = [
        (title, *(figure(part, 2) for part in (*parts, sum(parts))))
        for title, parts in plans.memory_parts(view, _names(view))
    ]
    return table(headers, rows, right=range(1, len(headers)))


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
        lines.append(f"facts: {plans.FACTS[view.facts_source]}")
    if taught := plans.learned(view):
        lines.append(taught)
    return "\n".join(style(line, dim=True) for line in lines)
