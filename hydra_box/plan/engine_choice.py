"""Which engine serves a model."""

from __future__ import annotations

from hydra_box.errors import InvalidRequest
from hydra_box.types import EngineName


def choose_engine(requested: str | None) -> EngineName:
    """The engine for a GGUF model.

    1. One was asked for by name: that one, or a refusal that names those there are.
    2. None was asked for: llama.cpp, the engine that reads GGUF.

    Raises:
        InvalidRequest: there is no engine of that name.
    """
    if requested is None:
        return EngineName.LLAMA_CPP
    try:
        return EngineName(requested)
    except ValueError:
        names = ", ".join(EngineName)
        raise InvalidRequest(
            f"there is no engine {requested!r}", hint=f"engines: {names}", param="engine"
        ) from None
