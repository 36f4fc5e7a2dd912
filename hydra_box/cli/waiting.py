"""Asking for a service, and waiting until it is what was asked for; with progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hydra_box.cli import transfer_bar
from hydra_box.cli.output import say
from hydra_box.cli.progress import Progress
from hydra_box.client import Client
from hydra_box.errors import Conflict, DownloadFailed, EngineError, NotFound
from hydra_box.messages import DeployRequest, DownloadView, ServiceView
from hydra_box.shown.doing import doing
from hydra_box.shown.numbers import count, size
from hydra_box.types import DownloadState, EngineName, InstanceState, ServiceStatus

POLL_SECONDS: Final = 0.25

_AT_REST: Final = (InstanceState.READY, InstanceState.FAILED)


def deploy(client: Client, request: DeployRequest) -> ServiceView:
    """Have a service made; a new box verifies its engine before it answers."""
    with Progress() as progress:
        progress.show(f"deploying {request.model}")
        return client.deploy(request)


def wait_running(client: Client, service: ServiceView) -> ServiceView:
    """Wait until as many instances are ready as are wanted.

    Raises:
        EngineError: the instances that are missing have failed for good.
        DownloadFailed: its model could not be fetched.
        Conflict: it was stopped, deleted or replaced meanwhile.

    """
    with _patience(service) as progress:
        while True:
            view = _same(client, service)
            if view is None or view.status is ServiceStatus.DELETING:
                raise Conflict(f"the service {service.name} was deleted while it was waited for")
            if view.status is ServiceStatus.STOPPED:
                raise Conflict(
                    f"the service {view.name} was stopped while it was waited for",
                    hint=f"hydra-box start {view.name}",
                )
            if view.status is ServiceStatus.RUNNING:
                progress.done(f"{view.name} is RUNNING: {_ready(view)} ready")
                return view
            _check_not_failed(view)
            progress.show(_doing(view))
            time.sleep(POLL_SECONDS)


def wait_fetched(client: Client, download: DownloadView) -> DownloadView:
    """Wait until a download is done.

    Raises:
        DownloadFailed: it has given up; what has arrived is kept.
        Conflict: it was paused meanwhile.

    """
    with Progress() as progress:
        try:
            while True:
                view = client.download(download.id)
                if view.state is DownloadState.DONE:
                    progress.done(f"{view.model} is here, {size(view.transfer.total_bytes)}")
                    return view
                _check_not_over(view)
                progress.show(f"{view.model} {transfer_bar.line(view)}")
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            progress.done()
            say(f"the download goes on; hydra-box models pause {download.id} stops it")
            raise


def _check_not_over(view: DownloadView) -> None:
    again = f"hydra-box models resume {view.id} goes on"
    if view.state is DownloadState.PAUSED:
        raise Conflict(f"the download of {view.model} was paused", hint=again)
    if view.state is DownloadState.FAILED:
        fact, _, hint = (view.reason or "it gave no reason").partition("; hint: ")
        raise DownloadFailed(
            f"the download of {view.model} failed: {fact}",
            hint=f"{hint}; {again}" if hint else again,
        )


def wait_stopped(client: Client, service: ServiceView) -> ServiceView:
    """Wait until no instance of a stopped service is left."""
    with _patience(service) as progress:
        while True:
            view = _same(client, service)
            if view is None:
                raise Conflict(f"the service {service.name} was deleted while it was waited for")
            left = [one for one in view.instances if one.state is not InstanceState.STOPPED]
            if view.status is not ServiceStatus.STOPPED or not left:
                progress.done(f"{view.name} is {view.status}")
                return view
            progress.show(f"{view.name}: {_leaving(view)}")
            time.sleep(POLL_SECONDS)


def wait_gone(client: Client, service: ServiceView) -> None:
    """Wait until nothing of a deleted service is left."""
    with _patience(service) as progress:
        while view := _same(client, service):
            progress.show(f"{view.name} {view.status}: {_leaving(view)}")
            time.sleep(POLL_SECONDS)
        progress.done(f"{service.name} is deleted")


@contextmanager
def _patience(service: ServiceView) -> Iterator[Progress]:
    """Progress that, at Ctrl-C, says that only the waiting has ended."""
    with Progress() as progress:
        try:
            yield progress
        except KeyboardInterrupt:
            progress.done()
            say(f"{service.name} goes on without being waited for; hydra-box status shows it")
            raise


def _same(client: Client, service: ServiceView) -> ServiceView | None:
    """The service as it is now; None if it is gone, or another has its name."""
    try:
        view = client.service(service.name)
    except NotFound:
        return None
    return view if view.id == service.id else None


def _check_not_failed(view: ServiceView) -> None:
    states = [one.state for one in view.instances]
    missing_failed = (
        InstanceState.FAILED in states
        and all(state in _AT_REST for state in states)
        and len(states) >= view.desired_instances
    )
    if view.status is not ServiceStatus.FAILED and not missing_failed:
        return
    reasons = [one.reason for one in view.instances if one.reason]
    reason = view.reason or (reasons[0] if reasons else "it gave no reason")
    fact, _, hint = reason.partition("; hint: ")
    if view.download is not None:
        again = f"hydra-box models resume {view.download.id} goes on"
        raise DownloadFailed(
            f"the service {view.name} FAILED, its model could not be fetched: {fact}",
            hint=f"{hint}; {again}" if hint else again,
        )
    logs = (
        f"hydra-box upstreams list {view.name} shows them all"
        if view.engine is EngineName.UPSTREAM
        else f"hydra-box logs {view.name} shows what its engine printed"
    )
    raise EngineError(
        f"the service {view.name} FAILED, {_ready(view)} ready: {fact}",
        hint=f"{hint}; {logs}" if hint else logs,
    )


def _ready(view: ServiceView) -> str:
    """Instances, or the upstreams of a service that only they serve."""
    if view.engine is EngineName.UPSTREAM:
        return f"{sum(one.healthy for one in view.upstreams)} of {len(view.upstreams)}"
    return f"{view.ready_instances} of {view.desired_instances}"


def _doing(view: ServiceView) -> str:
    if view.download is not None:
        return f"{view.name} {view.status}: {transfer_bar.line(view.download)}"
    told = doing(view) or view.reason
    return f"{view.name} {view.status}: {_ready(view)} ready{f', {told}' if told else ''}"


def _leaving(view: ServiceView) -> str:
    busy = sum(one.requests_in_flight for one in view.instances)
    requests = f", {count(busy, 'request')} to finish" if busy else ""
    return f"{count(len(view.instances), 'instance')} to stop{requests}"
