"""What can be deployed: the catalog, the library, and what is typed; filtered and in order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from hydra_box.messages import ModelView, StoredModelView
from hydra_box.shown.numbers import size
from hydra_box.shown.text import harmless
from hydra_box.types import Frozen, Modality

DEMO: Final = "demo"
_REPOSITORY: Final = re.compile(r"(hf:)?[\w][\w.-]*/[\w][\w.-]*([:@]\S*)?", re.ASCII)
_BILLION: Final = 1_000_000_000

SIZES: Final = {
    "small": ("up to 4B", 0, 4 * _BILLION),
    "medium": ("4B to 15B", 4 * _BILLION, 15 * _BILLION),
    "large": ("15B to 40B", 15 * _BILLION, 40 * _BILLION),
    "huge": ("over 40B", 40 * _BILLION, None),
}
"""Key to its words, and from how many parameters to how many."""


class Candidate(Frozen, frozen=True, kw_only=True):
    """One row of what can be deployed."""

    model: str
    """What a deployment names it by."""
    name: str
    about: str = ""
    """Context, licence, who uses it; one line."""
    description: str = ""
    modality: Modality | None = None
    parameters: int | None = None
    engine: str = ""
    quantization: str = ""
    fits: bool | None = None
    """None: not known before it is planned."""
    on_disk: bool = False
    reason: str = ""
    """Why it fits there, or why not."""
    words: str = ""
    """What a search finds it by, in lower case."""


class Filter(Frozen, frozen=True, kw_only=True):
    """What is asked of a row."""

    text: str = ""
    fits: bool | None = None
    modality: str | None = None
    size: str | None = None


def typed(text: str) -> Candidate | None:
    """What was typed, if it is a path or a repository of the hub."""
    text = text.strip()
    if text.startswith(("/", "~")):
        return Candidate(
            model=text, name=text, reason="a path on the box's machine: Enter reads it"
        )
    if not _REPOSITORY.fullmatch(text):
        return None
    model = text if text.startswith("hf:") else f"hf:{text}"
    return Candidate(
        model=model, name=model, reason="a repository of the hub: Enter asks the hub about it"
    )


def of_catalog(view: ModelView) -> Candidate:
    """A model of the catalog."""
    about = [f"{view.context_length:,} tokens", view.license or "", *view.quantizations]
    if view.gated:
        about.insert(2, "its licence is to be accepted on the hub")
    if view.services:
        about.append(f"serves {', '.join(view.services)}")
    found = (view.id, view.name, view.publisher, view.license, *view.tags, *view.repositories)
    planned = f"; {view.planned_context_length:,} tokens" if view.planned_context_length else ""
    return Candidate(
        model=view.id,
        name=harmless(view.id),
        about=harmless(" · ".join(word for word in about if word)),
        description=harmless(view.description),
        modality=view.modality,
        parameters=view.parameters,
        engine=str(view.engine or ""),
        quantization=harmless(view.quantization or ""),
        fits=view.fits,
        on_disk=view.on_disk,
        reason=harmless(f"{view.reason}{planned}"),
        words=" ".join(
            word
            for word in (*found, view.modality, view.engine, *view.quantizations, view.description)
            if word
        ).casefold(),
    )


def of_library(view: StoredModelView) -> Candidate:
    """A model on the disk that the catalog does not have."""
    words = (view.name, view.path, view.repository, view.quantization, view.format)
    return Candidate(
        model=view.name,
        name=harmless(view.name),
        about=harmless(f"{size(view.size_bytes)} · {view.path}"),
        quantization=harmless(view.quantization or ""),
        on_disk=True,
        reason="in the library: Enter plans it",
        words=" ".join(word for word in words if word).casefold(),
    )


def together(
    catalog: Sequence[ModelView], library: Sequence[StoredModelView]
) -> tuple[Candidate, ...]:
    """All of them in order: the demo model, what fits and is on the disk, what fits, the rest."""
    known = {one for view in catalog if view.on_disk for one in view.repositories}
    rows = [of_catalog(view) for view in catalog]
    names = {one.model for one in rows}
    rows += [
        of_library(view)
        for view in library
        if view.repository not in known and view.name not in names
    ]
    return tuple(sorted(rows, key=_rank))


def passing(rows: Iterable[Candidate], asked: Filter) -> tuple[Candidate, ...]:
    """Those that have what is asked; a path or repository that was typed comes first."""
    words = asked.text.casefold().split()
    found = [one for one in rows if _passes(one, asked, words)]
    # Who types a whole name means that model, and not those that have it in theirs.
    found.sort(key=lambda one: one.name.casefold() != asked.text.strip().casefold())
    own = typed(asked.text)
    if own is not None and all(own.model != one.model for one in found):
        found.insert(0, own)
    return tuple(found)


def parameters(number: int | None) -> str:
    """``2.6M``, ``8.2B``, ``671B``."""
    if number is None:
        return "-"
    for unit, one in (("B", _BILLION), ("M", 1_000_000), ("k", 1000)):
        if number >= 0.9995 * one:
            return (
                f"{number / one:.0f}{unit}"
                if number >= 99.95 * one
                else f"{number / one:.1f}{unit}"
            )
    return str(number)


def _rank(one: Candidate) -> tuple[bool, bool, bool, int, str]:
    return (one.model != DEMO, one.fits is False, not one.on_disk, one.parameters or 0, one.name)


def _passes(one: Candidate, asked: Filter, words: Sequence[str]) -> bool:
    if asked.fits is not None and one.fits is not asked.fits:
        return False
    if asked.modality is not None and one.modality != asked.modality:
        return False
    if asked.size is not None:
        _, least, most = SIZES[asked.size]
        if one.parameters is None or one.parameters < least:
            return False
        if most is not None and one.parameters >= most:
            return False
    return all(word in one.words for word in words)
