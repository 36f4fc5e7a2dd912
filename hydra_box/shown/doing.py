"""What a service is doing that is not complete, and when it will serve."""

from __future__ import annotations

from hydra_box.messages import ServiceView
from hydra_box.shown.numbers import duration


def doing(view: ServiceView) -> str | None:
    """``reading the weights: 40 %, ready in about 12 s``; None: nothing is known of it.

    Of one that has more instances than it shall have there is nothing to wait for.
    """
    if view.ready_instances > view.desired_instances:
        return None
    seconds = view.eta_seconds
    soon = None if seconds is None else f"ready in about {duration(max(1.0, seconds))}"
    return ", ".join(one for one in (view.progress, soon) if one) or None
