"""The status of the whole box, put together from its rooms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hydra_box import __version__
from hydra_box.engines.choice import eligible
from hydra_box.messages import Attention, BoxStatus, ServiceView
from hydra_box.types import LOCAL_ENGINES, EngineName, Runtime

if TYPE_CHECKING:
    from hydra_box.box import Box


def box_status(box: Box) -> BoxStatus:
    """What the box is doing now, from memory."""
    runtimes, services = box.runtimes.list(), box.services.list()
    return BoxStatus(
        version=__version__,
        pid=os.getpid(),
        url=box.url,
        started_at=box.started_at,
        state_directory=str(box.paths.home),
        user_id=box.local_user.id,
        runtimes=runtimes_in_use(runtimes),
        services=services,
        attention=needs_attention(box.alarms.list(), runtimes, services, box.usage.trouble()),
    )


def needs_attention(
    alarms: Iterable[Attention],
    runtimes: Sequence[Runtime],
    services: Iterable[ServiceView],
    books: Attention | None = None,
) -> tuple[Attention, ...]:
    """What a person should look at; ``books`` is what they say of themselves."""
    return (
        *alarms,
        *((books,) if books else ()),
        *engines_without_runtime(runtimes),
        *services_in_trouble(services),
    )


def runtimes_in_use(runtimes: Sequence[Runtime]) -> dict[str, str | None]:
    """Engine to the best runtime that works (the pinned one, or none), where one is installed."""
    installed = [engine for engine in LOCAL_ENGINES if eligible(engine, runtimes)]
    return {engine.value: runtime_in_use(engine, runtimes) for engine in installed}


def runtime_in_use(engine: EngineName, runtimes: Sequence[Runtime]) -> str | None:
    """The id of the best runtime that works, of runtimes that are sorted best first."""
    verified = (one.id for one in eligible(engine, runtimes) if one.verified_at is not None)
    return next(verified, None)


def engines_without_runtime(runtimes: Sequence[Runtime]) -> list[Attention]:
    """Engines that are installed and cannot run: each runtime has a problem.

    One that nobody installed is none of them: a plan says when it is needed.
    """
    found = []
    for engine in LOCAL_ENGINES:
        ours = eligible(engine, runtimes)
        if ours and all(one.problem is not None for one in ours):
            problems = "; ".join(f"{one.id}: {one.problem}" for one in ours)
            found.append(
                Attention(
                    message=f"{engine} has no runtime that works: {problems}",
                    hint=hint_for(engine, ours),
                )
            )
    return found


def hint_for(engine: EngineName, runtimes: Sequence[Runtime]) -> str:
    """What helps an engine of which none of these runtimes works."""
    if pinned := [one for one in runtimes if one.pinned]:
        return f"hydra-box engines unpin {pinned[0].id} lets others take its place"
    return f"hydra-box engines install {engine}"


def services_in_trouble(views: Iterable[ServiceView]) -> list[Attention]:
    """Services that do not serve, and why."""
    return [
        Attention(
            message=f"{view.name} is {view.status}: {view.reason}",
            hint=f"hydra-box {_where_to_look(view)} {view.name}",
            service_name=view.name,
        )
        for view in views
        if view.reason is not None
    ]


def _where_to_look(view: ServiceView) -> str:
    """The verb that tells more."""
    here = any(one.reason is not None for one in view.instances) or view.download is not None
    return "logs" if here or not _has_upstreams(view) else "upstreams list"


def _has_upstreams(view: ServiceView) -> bool:
    return bool(view.upstreams) or view.engine is EngineName.UPSTREAM
