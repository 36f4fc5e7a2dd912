"""Whether a service can be asked now, and what to say if not."""

from __future__ import annotations

from hydra_box.messages import ServiceView
from hydra_box.shown.doing import doing
from hydra_box.types import Frozen, Modality, ServiceStatus
from tui.trial.conversation import Problem

CHATS = (Modality.TEXT, Modality.VISION)
_SERVING = (ServiceStatus.RUNNING, ServiceStatus.SCALING)
"""Instances or upstreams answer, or one that sleeps wakes for it."""


class Standing(Frozen, frozen=True, kw_only=True):
    """A service, as one who wants to talk to it sees it."""

    problem: Problem | None = None
    """None: it can be asked."""
    passing: bool = False
    """The problem goes away by itself."""


def standing(view: ServiceView | None, name: str, *, connected: bool) -> Standing:
    """What to tell of a service; None: the box has none of that id, or has never answered."""
    if view is None and not connected:
        return Standing(problem=Problem(fact="the box has not answered yet"), passing=True)
    if view is None:
        fact = f"{name} is gone: the box has no such service"
        return _never(fact, "what was said and typed stays here; escape goes back")
    if view.modality not in CHATS:
        fact = f"{view.name} cannot chat: its model is for {view.modality.value}"
        return _never(fact, "its endpoint is reached with any OpenAI client")
    if view.ready_instances or view.status in _SERVING:
        return Standing()
    return _not_running(view)


def _not_running(view: ServiceView) -> Standing:
    if view.status is ServiceStatus.DEPLOYING:
        told = doing(view) or "its instances start"
        return Standing(
            problem=Problem(
                fact=f"{view.name} is {view.status.value}: {told}",
                hint="type already; enter sends as soon as it runs",
            ),
            passing=True,
        )
    fact, _, hint = (view.reason or "").partition("; hint: ")
    told = f"{view.name} is {view.status.value}" + (f": {fact}" if fact else "")
    starts = "space starts it on the services screen; what is typed stays"
    return _never(told, hint or (None if view.status is ServiceStatus.DELETING else starts))


def _never(fact: str, hint: str | None) -> Standing:
    return Standing(problem=Problem(fact=fact, hint=hint))
