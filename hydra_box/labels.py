"""Names that people give to keys and users."""

from __future__ import annotations

from hydra_box.errors import InvalidRequest

LONGEST_LABEL = 64


def check_label(label: str, *, of: str) -> str:
    """The name, if it is valid; ``of`` says what it is the name of.

    Raises:
        InvalidRequest: it is empty, too long, or would not look like itself where it is shown.

    """
    rule = f"use 1 to {LONGEST_LABEL} printable characters, the first and last not a space"
    if not label or len(label) > LONGEST_LABEL:
        raise InvalidRequest(f"the {of} name has {len(label)} characters", hint=rule, param="name")
    if not label.isprintable() or label != label.strip():
        raise InvalidRequest(f"the {of} name {label!r} is not valid", hint=rule, param="name")
    return label
