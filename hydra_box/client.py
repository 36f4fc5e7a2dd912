"""The typed client of a box: its management API, and chat for trying a service."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, TracebackType
from typing import Any
from urllib.parse import quote

from hydra_box.config import resolve_paths
from hydra_box.connection import Connection, error_of
from hydra_box.errors import NotFound
from hydra_box.messages import (
    BoxStatus,
    CreatedKey,
    CreateKeyRequest,
    DeployRequest,
    DownloadView,
    ImportRequest,
    InstallEngineRequest,
    InstallProgress,
    KeyView,
    ModelView,
    PlanRequest,
    PlanView,
    PullRequest,
    RemovedModel,
    ScaleRequest,
    ServiceView,
    StoredModelView,
)
from hydra_box.types import DownloadState, ErrorBody, Event, FoundModel, Machine, Runtime

API = "/api/v1"
SLOW_ANSWER_SECONDS = 600.0
"""For what may wait until an engine has been started and asked."""
EVENTS_SILENCE_SECONDS = 60.0
"""The daemon sends a sign of life every 15 s."""
LIVE_SILENCE_SECONDS = 30.0
"""A sample comes every second; when the GPUs' driver hangs, after 10 s."""
DRY_RUN: dict[str, Any] = {"dry_run": True}


class Client:
    """One box, over its UNIX socket or its URL; nothing is sent before the first call.

    Every method raises the ``HydraError`` that the daemon answered, ``DaemonUnreachable`` when
    nobody answers, or ``HydraError`` when what answers is no Hydra Box or takes too long.
    """

    def __init__(
        self, *, socket: Path | None = None, url: str | None = None, api_key: str | None = None
    ) -> None:
        self._connection = Connection(socket=socket, url=url, api_key=api_key)

    @classmethod
    def connect(cls, *, url: str | None, api_key: str | None, environ: Mapping[str, str]) -> Client:
        """The box at a URL; without one, the daemon of this user's state directory."""
        if url is not None:
            return cls(url=url, api_key=api_key)
        return cls(socket=resolve_paths(environ).management_socket)

    def close(self) -> None:
        """Let the connections go."""
        self._connection.close()

    def __enter__(self) -> Client:
        """For ``with``."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    # --- the box --------------------------------------------------------------

    def status(self) -> BoxStatus:
        """What the box is doing, and what needs attention."""
        return self._connection.call("GET", f"{API}/status", BoxStatus)

    def machine(self) -> Machine:
        """What the machine has, and what of it is free."""
        return self._connection.call("GET", f"{API}/machine", Machine)

    def machine_live(self) -> Iterator[Machine]:
        """The machine about once a second, until the daemon stops."""
        for data in self._connection.event_data(
            "GET", f"{API}/machine/live", silence_seconds=LIVE_SILENCE_SECONDS
        ):
            yield self._connection.decode(data, Machine, "a sample of the machine")

    def models(self) -> tuple[ModelView, ...]:
        """The catalog, and what this box would do with each model."""
        return self._connection.call("GET", f"{API}/models", tuple[ModelView, ...])

    def model(self, id: str) -> ModelView:
        """One entry of the catalog, or whatever else MODEL may be."""
        if "/" not in id:
            return self._connection.call("GET", f"{API}/models/{quote(id, safe='')}", ModelView)
        # Such a name cannot be one part of a path.
        (view,) = self._connection.call(
            "GET",
            f"{API}/models",
            tuple[ModelView],
            params={"model": id},
            seconds=SLOW_ANSWER_SECONDS,
        )
        return view

    def plan(self, request: PlanRequest) -> PlanView:
        """What would run where, and why; or what is missing. Nothing is changed."""
        return self._connection.call(
            "POST", f"{API}/plan", PlanView, body=request, seconds=SLOW_ANSWER_SECONDS
        )

    def events(self, after: int | None = None) -> Iterator[Event]:
        """Events as they happen, first those stored after the id ``after``; until it stops."""
        for data in self._connection.event_data(
            "GET",
            f"{API}/events",
            params={} if after is None else {"after": after},
            silence_seconds=EVENTS_SILENCE_SECONDS,
        ):
            yield self._connection.decode(data, Event, "an event")

    # --- models on the disk ----------------------------------------------------

    def library(self) -> tuple[StoredModelView, ...]:
        """Every whole model on the disk, by name."""
        return self._connection.call("GET", f"{API}/library", tuple[StoredModelView, ...])

    def found_models(self) -> tuple[FoundModel, ...]:
        """Models in other programs' stores on the box's machine."""
        return self._connection.call(
            "GET", f"{API}/library/found", tuple[FoundModel, ...], seconds=SLOW_ANSWER_SECONDS
        )

    def import_model(self, request: ImportRequest) -> StoredModelView:
        """Take files on the box's machine into its library; a copy takes as long as it takes."""
        return self._connection.call(
            "POST", f"{API}/library", StoredModelView, body=request, seconds=SLOW_ANSWER_SECONDS
        )

    def verify_model(self, name: str) -> StoredModelView:
        """Compare every file of a model with its checksum."""
        path = f"{self._stored(name)}/verify"
        return self._connection.call("POST", path, StoredModelView, seconds=SLOW_ANSWER_SECONDS)

    def remove_model(self, name: str) -> RemovedModel:
        """Remove a model that no service uses."""
        return self._connection.call("DELETE", self._stored(name), RemovedModel)

    # --- downloads --------------------------------------------------------------

    def downloads(self) -> tuple[DownloadView, ...]:
        """Every download, oldest first."""
        return self._connection.call("GET", f"{API}/downloads", tuple[DownloadView, ...])

    def download(self, id: str) -> DownloadView:
        """A download by its id."""
        return self._connection.call("GET", self._download(id), DownloadView)

    def pull(self, request: PullRequest) -> DownloadView:
        """Have a model fetched; it is queued when this returns."""
        return self._connection.call(
            "POST",
            f"{API}/downloads",
            DownloadView,
            body=request,
            seconds=SLOW_ANSWER_SECONDS,
        )

    def pause_download(self, id: str) -> DownloadView:
        """Stop a download, and keep what has arrived."""
        return self._connection.call("POST", f"{self._download(id)}/pause", DownloadView)

    def resume_download(self, id: str) -> DownloadView:
        """Go on with a download that is paused or has failed."""
        return self._connection.call("POST", f"{self._download(id)}/resume", DownloadView)

    def cancel_download(self, id: str) -> None:
        """Give a download up, and remove what has arrived."""
        self._connection.call("DELETE", self._download(id), NoneType)

    # --- services -------------------------------------------------------------

    def services(self) -> tuple[ServiceView, ...]:
        """Every service, by name."""
        return self._connection.call("GET", f"{API}/services", tuple[ServiceView, ...])

    def service(self, name: str) -> ServiceView:
        """A service by name, id or access name, as everywhere below."""
        return self._connection.call("GET", self._service(name), ServiceView)

    def deploy(self, request: DeployRequest) -> ServiceView:
        """Make a service; it is DEPLOYING when this returns."""
        return self._connection.call(
            "POST", f"{API}/services", ServiceView, body=request, seconds=SLOW_ANSWER_SECONDS
        )

    def plan_deploy(self, request: DeployRequest) -> PlanView:
        """What ``deploy`` would do with the same request; nothing is changed."""
        return self._connection.call(
            "POST",
            f"{API}/services",
            PlanView,
            params=DRY_RUN,
            body=request,
            seconds=SLOW_ANSWER_SECONDS,
        )

    def scale(self, name: str, request: ScaleRequest) -> ServiceView:
        """Set the number of instances, or add to it."""
        path = f"{self._service(name)}/scale"
        return self._connection.call("POST", path, ServiceView, body=request)

    def plan_scale(self, name: str, request: ScaleRequest) -> PlanView:
        """Where the instances that ``scale`` would add would run; nothing is changed."""
        path = f"{self._service(name)}/scale"
        return self._connection.call("POST", path, PlanView, params=DRY_RUN, body=request)

    def start(self, name: str) -> ServiceView:
        """Start a stopped service."""
        return self._connection.call("POST", f"{self._service(name)}/start", ServiceView)

    def stop(self, name: str) -> ServiceView:
        """End a service's instances, and keep it."""
        return self._connection.call("POST", f"{self._service(name)}/stop", ServiceView)

    def delete(self, name: str, confirm: str) -> ServiceView:
        """Remove a service for good; ``confirm`` is its name."""
        params = {"confirm": confirm}
        return self._connection.call("DELETE", self._service(name), ServiceView, params=params)

    def logs(
        self, name: str, *, instance: str | None = None, lines: int = 200, follow: bool = False
    ) -> Iterator[str]:
        """The last lines of an instance's log, each with its end; of every instance if none.

        Following, it goes on until the instance is gone or the daemon stops.
        """
        params: dict[str, Any] = {"lines": lines, "follow": follow}
        if instance is not None:
            params["instance"] = instance
        for line in self._connection.lines("GET", f"{self._service(name)}/logs", params=params):
            yield f"{line.decode(errors='replace')}\n"

    # --- keys -----------------------------------------------------------------

    def keys(self) -> tuple[KeyView, ...]:
        """Every key, without its secret."""
        return self._connection.call("GET", f"{API}/keys", tuple[KeyView, ...])

    def create_key(self, request: CreateKeyRequest) -> CreatedKey:
        """Make a key; the answer has its secret, this once."""
        return self._connection.call("POST", f"{API}/keys", CreatedKey, body=request)

    def revoke_key(self, name: str) -> KeyView:
        """Revoke a key by name or id."""
        if "/" in name:
            # Such a name cannot be one part of a path, so the key is asked for by its id.
            named = [key for key in self.keys() if key.name == name]
            live_and_newest = max(
                named, key=lambda key: (key.revoked_at is None, key.created_at), default=None
            )
            if live_and_newest is None:
                raise NotFound(f"there is no key {name!r}", param="name")
            name = live_and_newest.id
        return self._connection.call("DELETE", f"{API}/keys/{quote(name, safe='')}", KeyView)

    # --- engines --------------------------------------------------------------

    def engines(self) -> tuple[Runtime, ...]:
        """Every runtime."""
        return self._connection.call("GET", f"{API}/engines", tuple[Runtime, ...])

    def install_engine(self, engine: str) -> Iterator[InstallProgress]:
        """Build an engine on the box; the last item has ``runtime`` or ``error``."""
        body = InstallEngineRequest(engine=engine)
        for line in self._connection.lines("POST", f"{API}/engines/install", body=body):
            yield self._connection.decode(line, InstallProgress, "a line of progress")

    def verify_engine(self, runtime_id: str) -> Runtime:
        """Have a runtime answer on the demo model."""
        return self._connection.call(
            "POST",
            f"{API}/engines/verify",
            Runtime,
            params={"runtime": runtime_id},
            seconds=SLOW_ANSWER_SECONDS,
        )

    def remove_engine(self, runtime_id: str) -> None:
        """Remove an installed runtime."""
        engine, _, runtime = runtime_id.partition("/")
        if not runtime:
            raise NotFound(
                f"there is no runtime {runtime_id!r}", hint="hydra-box engines list shows them"
            )
        path = f"{API}/engines/{quote(engine, safe='')}/{quote(runtime, safe='')}"
        self._connection.call("DELETE", path, NoneType)

    # --- the endpoint ---------------------------------------------------------

    def chat(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Stream a chat completion: each chunk as OpenAI's API has it."""
        for data in self._connection.event_data(
            "POST", "/v1/chat/completions", body={**body, "stream": True}
        ):
            if data == b"[DONE]":
                return
            chunk = self._connection.decode(data, dict[str, Any], "a chunk")
            if "error" in chunk:
                raise error_of(self._connection.decode(data, ErrorBody, "an error"))
            yield chunk

    # --- inside ---------------------------------------------------------------

    def _stored(self, name: str) -> str:
        """The path of a model of the library."""
        if "/" in name:
            # Such a name cannot be one part of a path, so the model is asked for by its id.
            ids = {known: view.id for view in self.library() for known in (view.name, view.path)}
            name = _id_of(name, ids, "the library has no model")
        return f"{API}/library/{quote(name, safe='')}"

    def _download(self, name: str) -> str:
        """The path of a download, by its id or by the model that it brings."""
        if "/" in name:
            # Of one model the newest, and one that is not over before all that are.
            views = sorted(
                self.downloads(),
                key=lambda one: (one.state is not DownloadState.DONE, one.created_at),
            )
            name = _id_of(name, {one.model: one.id for one in views}, "there is no download of")
        return f"{API}/downloads/{quote(name, safe='')}"

    def _service(self, name: str) -> str:
        """The path of a service."""
        if "/" in name:
            # An access name cannot be one part of a path, so the service is asked for by its id.
            ids = {view.access_name: view.id for view in self.services()}
            name = _id_of(name, ids, "there is no service")
        return f"{API}/services/{quote(name, safe='')}"


def _id_of(name: str, ids: Mapping[str, str], fact: str) -> str:
    """The id of what has a name.

    Raises:
        NotFound: nothing has it; the ``fact``, with the nearest names.
    """
    if name in ids:
        return ids[name]
    near = difflib.get_close_matches(name, ids, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else None
    raise NotFound(f"{fact} {name!r}", hint=hint, param="name")
