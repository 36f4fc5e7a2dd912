"""Names of services and engines: what is allowed, and what is made when none is given."""

from __future__ import annotations

import re
from collections.abc import Collection

from hydra_box.errors import InvalidRequest
from hydra_box.types import LOCAL_ENGINES, EngineName

SHORTEST, LONGEST = 2, 64
RESERVED = frozenset({"live"})
"""What means something else where a service's name may stand in the management API."""

_ROOM_FOR_NUMBER = 8
_VALID = re.compile(r"[a-z0-9][a-z0-9-]*[a-z0-9]", re.ASCII)


def check_service_name(name: str) -> str:
    """The name, if it is valid.

    Raises:
        InvalidRequest: it is not 2 to 64 lower-case letters, digits and hyphens with a letter or
            digit at both ends; or it is reserved.

    """
    rule = (
        f"use {SHORTEST} to {LONGEST} lower-case letters, digits and hyphens, "
        "with a letter or digit at both ends"
    )
    if not SHORTEST <= len(name) <= LONGEST:
        count = "1 character" if len(name) == 1 else f"{len(name)} characters"
        raise InvalidRequest(
            f"the service name {name[:LONGEST]!r} has {count}", hint=rule, param="name"
        )
    if not _VALID.fullmatch(name):
        raise InvalidRequest(f"the service name {name!r} is not valid", hint=rule, param="name")
    if name in RESERVED:
        raise InvalidRequest(
            f"the service name {name!r} is reserved", hint=f"{name}-2 is free to use", param="name"
        )
    return name


def suggest_service_name(model: str, taken: Collection[str]) -> str:
    """A valid free name made from a model's id or path: ``qwen2``, then ``qwen2-2`` ..."""
    stem = model.rstrip("/").rpartition("/")[2].lower().removesuffix(".gguf")
    base = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[: LONGEST - _ROOM_FOR_NUMBER].rstrip("-")
    if len(base) < SHORTEST:
        base = f"model-{base}".rstrip("-")
    if base not in taken and base not in RESERVED:
        return base
    return next(name for n in range(2, len(taken) + 3) if (name := f"{base}-{n}") not in taken)


def access_name(name: str, *, owner_id: str, public: bool) -> str:
    """What a client puts in ``model``."""
    return f"public/{name}" if public else f"{owner_id}/{name}"


def engine_named(name: str) -> EngineName:
    """The engine of that name, in whatever case it is written.

    Raises:
        InvalidRequest: there is none.
    """
    for engine in LOCAL_ENGINES:
        if engine == name.lower():
            return engine
    raise InvalidRequest(
        f"there is no engine {name!r}", hint=f"engines: {', '.join(LOCAL_ENGINES)}", param="engine"
    )
