"""What a client prefers about waiting: the header ``Prefer`` (RFC 7240)."""

from __future__ import annotations

import re

_PARTS = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')
_WAIT = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)


def wait_seconds(prefer: str | None) -> float | None:
    """How long the client wants to wait for an answer to begin; None: it does not say.

    Of a preference that is there twice the first counts, and one that is not understood is passed
    over, as RFC 7240 has it (sections 2 and 4.3).
    """
    for part in _PARTS.findall(prefer or ""):
        if found := _WAIT.fullmatch(part):
            return float(found[1])
    return None
