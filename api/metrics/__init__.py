"""The box in numbers, for Prometheus; ``page.py`` puts together what the other files tell."""

from __future__ import annotations

from api.metrics.page import metrics

__all__ = ["metrics"]
