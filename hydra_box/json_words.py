"""What msgspec says of a value, as what to send instead."""

from __future__ import annotations

import re

_EXPECTED = re.compile(r"expected `(?P<kinds>[^`]+)`(?P<bounds>[^,]*)", re.IGNORECASE)
_KINDS = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}


def what_to_send(told: str) -> str | None:
    """The hint to a sentence such as "Expected `int | null`, got `str`"; None: to another one."""
    found = _EXPECTED.match(told)
    if found is None:
        return None
    kinds = (_KINDS.get(kind, kind) for kind in found["kinds"].split(" | "))
    bounds = found["bounds"].partition(" - at")[0]
    return f"send {' or '.join(kinds)}{bounds}"
