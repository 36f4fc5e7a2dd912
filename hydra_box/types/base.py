"""The base of every value type."""

from __future__ import annotations

from msgspec import Struct


class Frozen(Struct, frozen=True, kw_only=True):
    """Base of every value type."""
