"""Settings as they are typed, and what is wrong with them."""

from __future__ import annotations

import math

from hydra_box.errors import InvalidRequest
from hydra_box.types import Frozen
from tui.trial.conversation import Settings


class TypedSettings(Frozen, frozen=True, kw_only=True):
    """The text of each field; an empty one asks for nothing."""

    system: str = ""
    temperature: str = ""
    top_p: str = ""
    max_tokens: str = ""

    def settings(self, context_length: int) -> Settings:
        """The values; of a service with so many tokens of context, 0: not known.

        Raises:
            InvalidRequest: one is wrong; ``param`` names it.

        """
        return Settings(
            system=self.system,
            temperature=_temperature(self.temperature.strip()),
            top_p=_top_p(self.top_p.strip()),
            max_tokens=_max_tokens(self.max_tokens.strip(), context_length),
        )

    def problems(self, context_length: int) -> dict[str, InvalidRequest]:
        """Field to what is wrong with it."""
        found = {}
        for name in ("temperature", "top_p", "max_tokens"):
            alone = TypedSettings(**{name: getattr(self, name)})
            try:
                alone.settings(context_length)
            except InvalidRequest as error:
                found[name] = error
        return found


def _temperature(text: str) -> float | None:
    if not text:
        return None
    value = _number(text)
    if not 0 <= value <= 2:
        raise InvalidRequest(
            f"temperature {text!r} is no number from 0 to 2",
            hint="0 is always the likeliest token, 0.8 is usual",
            param="temperature",
        )
    return value


def _top_p(text: str) -> float | None:
    if not text:
        return None
    value = _number(text)
    if not 0 < value <= 1:
        raise InvalidRequest(
            f"top_p {text!r} is no number over 0 and up to 1",
            hint="0.95 leaves out the unlikeliest twentieth, 1 nothing",
            param="top_p",
        )
    return value


def _max_tokens(text: str, context_length: int) -> int | None:
    if not text:
        return None
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
    if value < 1:
        raise InvalidRequest(
            f"max tokens {text!r} is no whole number of tokens",
            hint="256 is a short answer, empty leaves the length to the model",
            param="max_tokens",
        )
    if context_length and value > context_length:
        raise InvalidRequest(
            f"max tokens {value:,} is more than the context has: {context_length:,}",
            hint="question and answer share the context",
            param="max_tokens",
        )
    return value


def _number(text: str) -> float:
    """NaN, which is in no range, for what is no number."""
    try:
        return float(text)
    except ValueError:
        return math.nan
