"""The base of every request body."""

from __future__ import annotations

from hydra_box.types import Frozen


class Request(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every request body: an unknown field is an error, not a silent nothing."""
