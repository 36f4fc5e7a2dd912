"""A runtime in full, and how an installation goes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from textual.content import Content

from hydra_box.shown.numbers import duration
from hydra_box.shown.text import harmless
from hydra_box.types import EngineName, Runtime, RuntimeSource
from tui.installation import Installation
from tui.widgets.models_words import pair, troubles
from tui.words import ago

SOURCES: Final = {
    RuntimeSource.BUNDLED: "a part of Hydra Box",
    RuntimeSource.BUILT: "installed by Hydra Box",
    RuntimeSource.PATH: "found on the PATH, installed by somebody else",
}
INSTALLS: Final = {
    EngineName.LLAMA_CPP: "built from its sources for this machine: needs a C++ compiler, minutes",
    EngineName.VLLM: "fetched, some gigabytes of it, into an environment of its own",
}


def runtime_lines(
    runtime: Runtime, *, follows: bool, services: Sequence[str], now: float
) -> Iterator[Content]:
    """A runtime; ``follows``: the next instance of its engine runs on it."""
    yield Content.assemble((harmless(runtime.id), "bold"), f"  version {harmless(runtime.version)}")
    if runtime.problem:
        yield from troubles(runtime.problem)
    yield pair("verified", _verified(runtime, now))
    yield pair("used by", ", ".join(services) or "no service")
    yield pair("next", _next(runtime, follows))
    yield pair("from", f"{SOURCES[runtime.source]}, computes on {runtime.accelerator}")
    yield pair("location", runtime.location)
    yield pair("command", shlex.join(runtime.argv))


def installation_line(one: Installation) -> Content:
    """How far it is, on one line."""
    if one.goes_on:
        last = harmless(one.lines[-1]) if one.lines else "the first line is still to come"
        return Content.assemble(
            (f"◐ installing {one.engine}, {duration(one.seconds)} ", "$text-warning"),
            f" l: its log  {last}",
        )
    if one.runtime is not None:
        text = f"● {harmless(one.runtime.id)} is installed and verified"
        return Content.assemble((text, "$text-success"), "  l: its log")
    what = "was stopped" if one.was_stopped else "failed"
    return Content.assemble(
        (f"✗ the installation of {one.engine} {what}", "$text-error"), "  l: why, and its log"
    )


def installation_lines(one: Installation) -> Iterator[Content]:
    """How it goes or has ended, with all that there is to say."""
    took = duration(one.seconds)
    if one.goes_on:
        yield Content.assemble(
            (f"◐ installing {one.engine}, {took}", "$text-warning"),
            "  escape leaves this log and it goes on; ending the console ends it",
        )
    elif one.runtime is not None:
        yield Content.styled(
            f"● {harmless(one.runtime.id)} is installed and verified, after {took}", "$text-success"
        )
    elif one.error is not None:
        yield Content.styled(f"✗ {harmless(one.error.message)}", "$text-error")
        if one.error.hint:
            yield Content(f"hint: {harmless(one.error.hint)}")
    else:
        yield Content.styled(f"✗ stopped after {took}; nothing of it stays", "$text-error")


def _verified(runtime: Runtime, now: float) -> str:
    if runtime.verified_at is not None:
        return f"it answered on the demo model {ago(runtime.verified_at, now)}"
    return "it did not answer" if runtime.problem else "not yet: v tries it on the demo model"


def _next(runtime: Runtime, follows: bool) -> str:
    if runtime.pinned:
        return f"pinned: {runtime.engine} runs on this one and no other; p unpins it"
    if follows:
        return f"what is started of {runtime.engine} from now on runs on it"
    if runtime.problem:
        return "nothing is started on it; v tries again whether it works"
    return f"what is started of {runtime.engine} runs on another; p pins this one"
