"""What happened, what is wrong, and how an error is answered."""

from __future__ import annotations

from enum import StrEnum

from hydra_box.types.base import Frozen
from hydra_box.types.library import Transfer


class Severity(StrEnum):
    """How much an event or a finding matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Event(Frozen, frozen=True, kw_only=True):
    """Something that happened, for people and for screens."""

    id: int
    """Grows by one an event; 0: it is not stored, because it only tells of progress."""
    at: float
    kind: str
    """``service.deployed``, ``instance.ready``, ``instance.exited`` and so on."""
    message: str
    severity: Severity = Severity.INFO
    service_id: str | None = None
    service_name: str | None = None
    instance_id: str | None = None
    download_id: str | None = None
    transfer: Transfer | None = None
    """How far the download is, in ``download.progress``."""


class Finding(Frozen, frozen=True, kw_only=True):
    """One thing ``doctor`` looked at."""

    check: str
    severity: Severity
    message: str
    hint: str | None = None


class ErrorDetail(Frozen, frozen=True, kw_only=True):
    """The inside of an error answer, in OpenAI's shape."""

    message: str
    type: str
    code: str
    param: str | None = None


class ErrorBody(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """Every error answer, of both APIs."""

    error: ErrorDetail
    hint: str | None = None
