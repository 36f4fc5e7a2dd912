"""What models of the library are called."""

from __future__ import annotations

import re
from collections.abc import Collection

from hydra_box.errors import InvalidRequest
from hydra_box.types import WeightFormat

LONGEST = 64
_ROOM_FOR_NUMBER = 4
_VALID = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


def hub_name(repository: str, format: WeightFormat, what: str | None) -> str:
    """``hf:org/repo:Q8_0``; safetensors of a repository are one model, and need no more words."""
    has_more = format is WeightFormat.GGUF and what is not None
    return f"hf:{repository}:{what}" if has_more else f"hf:{repository}"


def check_name(name: str) -> str:
    """The name, if a model may be imported by it: it names a directory, too.

    Raises:
        InvalidRequest: it has other characters, or too many.
    """
    rule = (
        f"use 1 to {LONGEST} lower-case letters, digits, '.', '-' and '_', "
        "with a letter or digit first"
    )
    if len(name) > LONGEST:
        raise InvalidRequest(
            f"the name {name[:LONGEST]!r} has {len(name)} characters", hint=rule, param="name"
        )
    if not _VALID.fullmatch(name):
        raise InvalidRequest(f"the name {name!r} is not valid", hint=rule, param="name")
    return name


def name_from(text: str) -> str:
    """A valid name made from a file's, or a model's own."""
    stem = _SHARD.sub("", text.lower().removesuffix(".gguf"))
    kept = re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")[: LONGEST - _ROOM_FOR_NUMBER]
    return kept.rstrip("-._") or "model"


def free_name(base: str, taken: Collection[str]) -> str:
    """The name itself, or with the first number that makes it free: ``qwen2-2``."""
    if base not in taken:
        return base
    return next(name for n in range(2, len(taken) + 3) if (name := f"{base}-{n}") not in taken)
