"""What a person should look at."""

from __future__ import annotations

from hydra_box.types import Frozen


class Attention(Frozen, frozen=True, kw_only=True):
    """One line of "needs attention"."""

    message: str
    hint: str | None = None
    service_name: str | None = None
