"""Typed, bounded access to the values of a ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hydra_box.errors import InvalidModel
from hydra_box.models.architectures import DEFAULTS

MOST = 1 << 31
MOST_LAYERS = 1024
TEXT_CONFIGS = ("text_config", "llm_config", "language_config", "thinker_config")
"""Where models that also see or hear keep the configuration of their language model."""


class ConfigValues:
    """The language model's part of a configuration, and the whole of it.

    Raises:
        InvalidModel: a number is negative or impossibly large.

    """

    def __init__(self, config: Mapping[str, object]) -> None:
        self.whole = config
        text: Mapping[str, object] = config
        for _ in range(2):
            text = next((one for key in TEXT_CONFIGS if (one := _table(text, key))), text)
        self.model_type = _text(text.get("model_type")) or _text(config.get("model_type")) or ""
        self.family = _text(config.get("model_type")) or self.model_type
        self._values = {**DEFAULTS.get(self.model_type, {}), **_without_nulls(text)}

    @property
    def architecture(self) -> str:
        """``architectures[0]``.

        Raises:
            InvalidModel: there is none.

        """
        names = self.whole.get("architectures")
        if isinstance(names, Sequence) and names and isinstance(names[0], str) and names[0]:
            return names[0]
        raise InvalidModel(
            "its config.json names no architecture",
            hint="get the repository's config.json as it was published",
            param="model",
        )

    def find(self, *names: str) -> int | None:
        """The first of these that is a whole number."""
        for name in names:
            value = self._values.get(name)
            if isinstance(value, list) and value and all(isinstance(one, int) for one in value):
                value = max(value)
            if isinstance(value, int) and not isinstance(value, bool):
                if not 0 <= value < MOST:
                    raise InvalidModel(
                        f"its config.json says {name} = {value:,}",
                        hint="get the repository's config.json as it was published",
                        param="model",
                    )
                return value
        return None

    def number(self, *names: str) -> int:
        """As ``find``; 0 if there is none."""
        return self.find(*names) or 0

    def need(self, *names: str) -> int:
        """As ``find``.

        Raises:
            InvalidModel: there is none, or it is 0.

        """
        value = self.number(*names)
        if not value:
            raise InvalidModel(
                f"its config.json has no {names[0]}",
                hint=f"a model of type {self.model_type!r} is not known well enough to be planned",
                param="model",
            )
        return value

    def layers(self) -> int:
        """How many layers the language model has.

        Raises:
            InvalidModel: none, or too many.

        """
        count = self.need("num_hidden_layers", "n_layer", "num_layers", "n_layers")
        if count > MOST_LAYERS:
            raise InvalidModel(f"its config.json says num_hidden_layers = {count:,}", param="model")
        return count

    def flag(self, name: str) -> bool | None:
        """A truth value, of the language model or of the whole; None: there is none."""
        for values in (self._values, self.whole):
            value = values.get(name)
            if isinstance(value, bool):
                return value
        return None

    def text(self, name: str) -> str | None:
        """A text; None: there is none."""
        return _text(self._values.get(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty if there is none."""
        value = self._values.get(name)
        if not isinstance(value, list) or len(value) > MOST_LAYERS:
            return ()
        return tuple(one for one in value if isinstance(one, str))

    def numbers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers; empty if there is none."""
        value = self._values.get(name)
        if not isinstance(value, list) or len(value) > MOST_LAYERS:
            return ()
        return tuple(one for one in value if isinstance(one, int))

    def part(self, name: str) -> ConfigValues:
        """A nested table of the language model's part; empty if there is none."""
        return ConfigValues(_table(self._values, name) or {})

    def keys(self) -> tuple[str, ...]:
        """The names of all values."""
        return tuple(self._values)

    def table(self, name: str) -> Mapping[str, object]:
        """A nested table of the whole configuration; empty if there is none."""
        return _table(self.whole, name) or {}


def _table(values: Mapping[str, object], key: str) -> Mapping[str, object] | None:
    value = values.get(key)
    return value if isinstance(value, Mapping) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _without_nulls(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}
