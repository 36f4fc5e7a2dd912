"""How far a deployment is: four steps, each with a mark that tells it without colour."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from textual.content import Content

from hydra_box.messages import InstanceView, ServiceView
from hydra_box.shown.doing import doing
from hydra_box.shown.numbers import count
from hydra_box.shown.spans import span
from hydra_box.shown.text import harmless
from hydra_box.types import DownloadState, Frozen, InstanceState, Machine, ServiceStatus
from tui.widgets.progress import bar, transfer_text
from tui.widgets.service_words import has_instances, healthy
from tui.words import device

S = InstanceState


class Mark(StrEnum):
    """Where a step is."""

    DONE = "●"
    DOING = "◐"
    TO_COME = "○"
    FAILED = "✗"


_STYLES: Final = {
    Mark.DONE: "$text-success",
    Mark.DOING: "$text-warning",
    Mark.TO_COME: "$text-muted",
    Mark.FAILED: "$text-error",
}
_FURTHEST: Final = (S.READY, S.STARTING, S.ASLEEP, S.PENDING, S.BACKOFF, S.FAILED)
"""Of several instances the one that is furthest tells."""
_ENDED: Final = {S.BACKOFF: "ended; it is started again by itself", S.FAILED: "gave up"}
_LEFT: Final = (ServiceStatus.STOPPED, ServiceStatus.DELETING)
_TITLE: Final = 10


class Step(Frozen, frozen=True, kw_only=True):
    """One step, and what there is to say of it now."""

    title: str
    mark: Mark
    told: str = ""


def steps(view: ServiceView, machine: Machine | None) -> tuple[Step, ...]:
    """Files, start, loading up to the first token, ready; or what upstreams there are."""
    if not has_instances(view):
        return (_upstreams(view),)
    return (_files(view), *_instance_steps(view, machine), _ready(view))


def steps_text(view: ServiceView, machine: Machine | None) -> Content:
    """A line for each step, with a bar for what is being fetched."""
    return Content("\n").join(_lines(view, machine))


def is_ready(view: ServiceView) -> bool:
    """Whether it answers, if only once it is awake."""
    if view.status in _LEFT:
        return False
    return view.ready_instances > 0 or view.asleep or healthy(view) > 0


def needs_help(view: ServiceView) -> bool:
    """Whether it comes no further without somebody who has it go on."""
    paused = view.download is not None and view.download.state is DownloadState.PAUSED
    return view.status in (ServiceStatus.FAILED, ServiceStatus.STOPPED) or paused


def _lines(view: ServiceView, machine: Machine | None) -> Iterator[Content]:
    for step in steps(view, machine):
        style = _STYLES[step.mark]
        yield Content.assemble(
            (f"{step.mark} {step.title:<{_TITLE}} ", style),
            (harmless(step.told), "$text-muted" if step.mark is Mark.TO_COME else ""),
        )
        if step.title == "Download" and view.download is not None:
            transfer = view.download.transfer
            figures = bar(transfer.done_bytes, transfer.total_bytes, 30)
            yield Content.assemble(" " * (_TITLE + 3), figures)


def _files(view: ServiceView) -> Step:
    download = view.download
    if download is None:
        return Step(title="Files", mark=Mark.DONE, told="the model is on this machine")
    marks = {
        DownloadState.FAILED: Mark.FAILED,
        DownloadState.PAUSED: Mark.FAILED,
        DownloadState.DONE: Mark.DONE,
    }
    told = transfer_text(download.transfer)
    if download.state is not DownloadState.DOWNLOADING:
        told = f"{download.state.value}, {told}"
    return Step(title="Download", mark=marks.get(download.state, Mark.DOING), told=told)


def _instance_steps(view: ServiceView, machine: Machine | None) -> tuple[Step, Step]:
    if view.asleep:
        after = span(view.idle_timeout_seconds)
        return (
            Step(title="Start", mark=Mark.DONE, told=f"asleep: nobody called it for {after}"),
            Step(title="Load", mark=Mark.DONE, told="the next request has it loaded again"),
        )
    start, load = _start_and_load(view, _furthest(view), machine)
    return Step(title="Start", mark=start[0], told=start[1]), Step(
        title="Load", mark=load[0], told=load[1]
    )


def _start_and_load(
    view: ServiceView, one: InstanceView | None, machine: Machine | None
) -> tuple[tuple[Mark, str], tuple[Mark, str]]:
    to_come = (Mark.TO_COME, "")
    if view.download is not None:
        return to_come, to_come
    if one is None or view.status in _LEFT:
        left = (Mark.TO_COME, view.status.value.lower())
        return (left if view.status in _LEFT else (Mark.DOING, f"starting {view.engine}")), to_come
    if one.state is S.READY:
        return (Mark.DONE, _placed(one, view, machine)), (
            Mark.DONE,
            "it has answered a first token",
        )
    if one.state in _ENDED:
        return (Mark.FAILED, _ENDED[one.state]), to_come
    told = doing(view)
    if one.pid is None:
        queued = f"in the queue: {told}" if one.state is S.PENDING and told else None
        return (Mark.DOING, queued or f"finding a place for {one.id}"), to_come
    loading = f"{told or 'loading the model'} ... until it answers a first token"
    return (Mark.DONE, _placed(one, view, machine)), (Mark.DOING, loading)


def _placed(one: InstanceView, view: ServiceView, machine: Machine | None) -> str:
    process = f", process {one.pid}" if one.pid is not None else ""
    return f"{view.engine} on {device(one.device, machine)}{process}"


def _ready(view: ServiceView) -> Step:
    ready, wanted = view.ready_instances, view.desired_instances
    if view.asleep:
        return Step(title="Ready", mark=Mark.DONE, told="whenever it is called")
    if ready >= wanted and view.status is ServiceStatus.RUNNING:
        return Step(title="Ready", mark=Mark.DONE, told=f"{count(ready, 'instance')} answering")
    if ready:
        return Step(title="Ready", mark=Mark.DOING, told=f"{ready} of {wanted}; it answers already")
    return Step(title="Ready", mark=Mark.TO_COME)


def _upstreams(view: ServiceView) -> Step:
    """Of a service that nothing here serves."""
    told = f"{healthy(view)} of {count(len(view.upstreams), 'upstream')} healthy"
    marks = {
        ServiceStatus.RUNNING: Mark.DONE,
        ServiceStatus.DEPLOYING: Mark.DOING,
        ServiceStatus.FAILED: Mark.FAILED,
    }
    return Step(title="Upstreams", mark=marks.get(view.status, Mark.TO_COME), told=told)


def _furthest(view: ServiceView) -> InstanceView | None:
    known = [one for one in view.instances if one.state in _FURTHEST]
    return min(known, key=lambda one: _FURTHEST.index(one.state), default=None)
