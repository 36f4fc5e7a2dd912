"""The catalog, plans, the library and its downloads."""

from __future__ import annotations

from types import NoneType
from urllib.parse import quote

from hydra_box.client.base import (
    API,
    SLOW_ANSWER_SECONDS,
    Calls,
    id_of,
)
from hydra_box.messages import (
    DownloadView,
    ImportRequest,
    ModelView,
    PlanRequest,
    PlanView,
    PullRequest,
    RemovedModel,
    StoredModelView,
)
from hydra_box.types import DownloadState, FoundModel


class ModelCalls(Calls):
    """The catalog, plans, the library and its downloads."""

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

    def _stored(self, name: str) -> str:
        """The path of a model of the library."""
        if "/" in name:
            # Such a name cannot be one part of a path, so the model is asked for by its id.
            ids = {known: view.id for view in self.library() for known in (view.name, view.path)}
            name = id_of(name, ids, "the library has no model")
        return f"{API}/library/{quote(name, safe='')}"

    def _download(self, name: str) -> str:
        """The path of a download, by its id or by the model that it brings."""
        if "/" in name:
            # Of one model the newest, and one that is not over before all that are.
            views = sorted(
                self.downloads(),
                key=lambda one: (one.state is not DownloadState.DONE, one.created_at),
            )
            name = id_of(name, {one.model: one.id for one in views}, "there is no download of")
        return f"{API}/downloads/{quote(name, safe='')}"
