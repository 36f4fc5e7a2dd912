"""What a setting takes, in words that know no type of Python, and what is said of a wrong value."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import inspect

from hydra_box.config.settings import Settings
from hydra_box.errors import ConfigError

_LONGEST_SHOWN = 100
_FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}
_LIST = ("first.example", "second.example")


def convert(name: str, value: object, *, where: str, variable: str | None = None) -> Any:
    """A value as the setting has it.

    Args:
        name: of the setting.
        value: what the file has, or the text of a variable.
        where: the file or variable, for the error.
        variable: the variable; None: it is in the file.

    Raises:
        ConfigError: it cannot have that value; the hint shows one that it can have.
    """
    field = _FIELDS[name]
    given = value
    if field.type == tuple[str, ...] and isinstance(value, str):
        given = [one.strip() for one in value.split(",") if one.strip()]
    try:
        converted = msgspec.convert(given, field.type, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong(name, value, where, variable) from error
    if isinstance(converted, float) and not math.isfinite(converted):
        raise _wrong(name, value, where, variable)
    return converted


def _wrong(name: str, value: object, where: str, variable: str | None) -> ConfigError:
    example: object = _FIELDS[name].default
    size = _shown_size(example) if _is_size(name) and isinstance(example, int) else ""
    if example in ((), ""):
        example = _LIST if example == () else "..."
    if variable is not None:
        text = ",".join(example) if isinstance(example, tuple) else _in_file(example).strip('"')
        shown = f"{variable}={text}"
    else:
        shown = f"{name} = {_in_file(example)}"
    return ConfigError(
        f"{where} is {_in_file(value)}, and takes {_takes(name)}",
        hint=f"for example: {shown}{size}",
    )


def _takes(name: str) -> str:
    kind = inspect.type_info(_FIELDS[name].type)
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{' of bytes' if _is_size(name) else ''}{_bounds(kind)}"
        case inspect.FloatType():
            return f"a number{' of seconds' if name.endswith('_seconds') else ''}{_bounds(kind)}"
        case inspect.StrType(max_length=most) if most is not None:
            return f"a text of at most {most} characters"
        case inspect.StrType(min_length=least):
            return "a text that is not empty" if least else "a text"
        case _:
            return "a list of texts"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge:,} to {kind.le:,}"
    if kind.ge is not None:
        return f", {kind.ge:,g} or more"
    return "" if kind.gt is None else f", more than {kind.gt:,g}"


def _is_size(name: str) -> bool:
    return "_bytes" in name


def _shown_size(number: int) -> str:
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if number and number % size == 0:
            return f" ({number // size} {unit})"
    return ""


def _in_file(value: object) -> str:
    """As it would stand in ``config.toml``, whose words JSON shares; not too much of it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return msgspec.json.encode(value, enc_hook=str).decode()[:_LONGEST_SHOWN]
