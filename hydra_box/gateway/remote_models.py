"""What an upstream's list of its models says of the one that is asked."""

from __future__ import annotations

from typing import Annotated

import msgspec

Tokens = Annotated[int, msgspec.Meta(gt=0, le=2**31)]


class _Meta(msgspec.Struct):
    n_ctx_train: Tokens | None = None


class _Model(msgspec.Struct):
    id: str
    max_model_len: Tokens | None = None
    context_length: Tokens | None = None
    meta: _Meta | None = None

    @property
    def context(self) -> int | None:
        """As vLLM has it, as many others do, and as llama.cpp does."""
        trained = None if self.meta is None else self.meta.n_ctx_train
        return self.max_model_len or self.context_length or trained


class _Models(msgspec.Struct):
    data: list[msgspec.Raw] = []


def context_length_of(body: bytes, model: str) -> int | None:
    """The longest context of a model, in tokens; None: the list does not say.

    Args:
        body: the answer to a request for ``/models``, which may be anything.
        model: what it is called there. A list of one is about that one: llama.cpp answers to
            any name.

    """
    try:
        rows = msgspec.json.decode(body, type=_Models).data
    except (msgspec.DecodeError, RecursionError):
        return None
    models = [one for row in rows if (one := _read(row)) is not None]
    if len(rows) == len(models) == 1:
        return models[0].context
    return next((one.context for one in models if one.id == model), None)


def _read(row: msgspec.Raw) -> _Model | None:
    """One that is understood; others in the list may be of another kind."""
    try:
        return msgspec.json.decode(row, type=_Model)
    except (msgspec.DecodeError, RecursionError):
        return None
