"""Installing engines."""

from __future__ import annotations

from hydra_box.messages.base import Request
from hydra_box.types import ErrorBody, Frozen, Runtime


class InstallEngineRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/engines/install``."""

    engine: str


class InstallProgress(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the stream that answers ``POST /api/v1/engines/install``.

    Exactly one field is set; the last line of a stream has ``runtime`` or ``error``.
    """

    line: str | None = None
    """What the installer printed."""
    runtime: Runtime | None = None
    error: ErrorBody | None = None
