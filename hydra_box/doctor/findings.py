"""One thing that ``doctor`` has found: INFO is fine, WARNING limits something, ERROR stops it."""

from __future__ import annotations

from hydra_box.types import Finding, Severity

INFO, WARNING, ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR


def finding(check: str, severity: Severity, message: str, hint: str | None = None) -> Finding:
    """One finding."""
    return Finding(check=check, severity=severity, message=message, hint=hint)
