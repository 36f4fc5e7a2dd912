"""Names that people give to keys and users."""

from __future__ import annotations

import re

from hydra_box.errors import InvalidRequest

LONGEST_LABEL = 64

_ID = re.compile(r"(?:u|key)-[0-9a-f]{12}")


def check_label(label: str, *, of: str) -> str:
    """The name, if it is valid; ``of`` says what it is the name of.

    Raises:
        InvalidRequest: it is empty, too long, would not look like itself where it is shown, or
            like the id of another.

    """
    rule = f"use 1 to {LONGEST_LABEL} printable characters, the first and last not a space"
    if not label or len(label) > LONGEST_LABEL:
        raise InvalidRequest(f"the {of} name has {len(label)} characters", hint=rule, param="name")
    if not label.isprintable() or label != label.strip():
        raise InvalidRequest(f"the {of} name {label!r} is not valid", hint=rule, param="name")
    if _ID.fullmatch(label):
        raise InvalidRequest(
            f"the {of} name {label!r} looks like an id", hint="choose another name", param="name"
        )
    return label
