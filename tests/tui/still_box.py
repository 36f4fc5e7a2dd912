"""A client of the still life: it answers like a box on which time has stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hydra_box.client import Client
from hydra_box.messages import (
    BoxStatus,
    DeployRequest,
    DownloadView,
    EditRequest,
    KeyView,
    ModelView,
    PlanView,
    ScaleRequest,
    ServiceHistory,
    ServicesUpdate,
    ServiceView,
    StoredModelView,
    UsageBy,
    UsagePer,
    UsageReport,
    UserView,
)
from hydra_box.types import Event, FoundModel, Machine, Runtime
from tests.tui import still_life, still_maas

T = TypeVar("T")


class StillBox(Client):
    """What screens ask, from ``still_life``; what changes a box, it does not know."""

    def __init__(self, *, services: int = 0) -> None:
        """With ``services``, so many more that all run."""
        super().__init__(socket=Path("/nobody/listens/here"))
        self._over = threading.Event()
        self._more = tuple(still_life.service(f"service-{number:03}") for number in range(services))

    def abort(self) -> None:
        self._over.set()
        super().abort()

    def _hold(self, first: T) -> Iterator[T]:
        yield first
        self._over.wait()

    def status(self) -> BoxStatus:
        return msgspec.structs.replace(still_life.status(), services=self.services())

    def machine(self) -> Machine:
        return still_life.machine()

    def machine_live(self) -> Iterator[Machine]:
        return self._hold(still_life.machine())

    def services(self) -> tuple[ServiceView, ...]:
        return (*still_life.services(), *still_maas.services(), *self._more)

    def service(self, name: str) -> ServiceView:
        return next(one for one in self.services() if name in (one.name, one.id))

    def services_live(self) -> Iterator[ServicesUpdate]:
        yield from still_life.busy_seconds()
        yield ServicesUpdate(
            at=still_life.NOW, changed=self.services(), attention=still_life.attention()
        )
        self._over.wait()

    def service_history(self, name: str) -> ServiceHistory:
        return still_life.history()

    def events(self, after: int | None = None) -> Iterator[Event]:
        self._over.wait()
        yield from ()

    def recent_events(self, *, service: str | None = None, limit: int = 100) -> tuple[Event, ...]:
        return still_life.events()

    def logs(
        self, name: str, *, instance: str | None = None, lines: int = 200, follow: bool = False
    ) -> Iterator[str]:
        yield from still_life.LOG
        if follow:
            self._over.wait()

    def models(self) -> tuple[ModelView, ...]:
        return still_life.models()

    def model(self, id: str) -> ModelView:
        return next((one for one in still_life.models() if one.id == id), still_life.models()[0])

    def library(self) -> tuple[StoredModelView, ...]:
        return still_life.library()

    def downloads(self) -> tuple[DownloadView, ...]:
        return still_life.downloads()

    def found_models(self) -> tuple[FoundModel, ...]:
        return ()

    def keys(self) -> tuple[KeyView, ...]:
        return (*still_life.keys(), *still_maas.keys())

    def users(self) -> tuple[UserView, ...]:
        return still_maas.users()

    def usage(
        self,
        *,
        by: UsageBy = UsageBy.MODEL,
        per: UsagePer = UsagePer.DAY,
        since: float | None = None,
        until: float | None = None,
    ) -> UsageReport:
        return still_life.usage(by, per)

    def engines(self) -> tuple[Runtime, ...]:
        return still_life.runtimes()

    def plan_deploy(self, request: DeployRequest) -> PlanView:
        return still_life.plan(fits=request.model != "deepseek-r1")

    def plan_scale(self, name: str, request: ScaleRequest) -> PlanView:
        return still_life.plan(fits=True)

    def plan_edit(self, name: str, request: EditRequest) -> PlanView:
        return still_life.plan(fits=True)

    def chat(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for word in ("A **box** ", "that serves ", "models.\n\n- fast\n- local"):
            yield {"choices": [{"delta": {"content": word}, "finish_reason": None}]}
        usage = {"prompt_tokens": 14, "completion_tokens": 9, "total_tokens": 23}
        yield {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage}
