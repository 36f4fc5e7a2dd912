"""Services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from hydra_box.client.base import (
    API,
    DRY_RUN,
    LIVE_SILENCE_SECONDS,
    SLOW_ANSWER_SECONDS,
    Calls,
    id_of,
)
from hydra_box.messages import (
    DeployRequest,
    EditRequest,
    PlanView,
    ScaleRequest,
    ServiceHistory,
    ServicesUpdate,
    ServiceView,
)


class ServiceCalls(Calls):
    """Services."""

    def services(self) -> tuple[ServiceView, ...]:
        """Every service, by name."""
        return self._connection.call("GET", f"{API}/services", tuple[ServiceView, ...])

    def service(self, name: str) -> ServiceView:
        """A service by name, id or access name, as everywhere below."""
        return self._connection.call("GET", self._service(name), ServiceView)

    def services_live(self) -> Iterator[ServicesUpdate]:
        """Every service, then about once a second what has changed; until the daemon stops."""
        for data in self._connection.event_data(
            "GET", f"{API}/services/live", silence_seconds=LIVE_SILENCE_SECONDS
        ):
            yield self._connection.decode(data, ServicesUpdate, "an update of the services")

    def service_history(self, name: str) -> ServiceHistory:
        """What a service did in the last hour."""
        path = f"{self._service(name)}/history"
        return self._connection.call("GET", path, ServiceHistory)

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

    def edit(self, name: str, request: EditRequest) -> ServiceView:
        """Change how a service runs; its instances are replaced one after another."""
        path = f"{self._service(name)}/edit"
        return self._connection.call(
            "POST", path, ServiceView, body=request, seconds=SLOW_ANSWER_SECONDS
        )

    def plan_edit(self, name: str, request: EditRequest) -> PlanView:
        """What ``edit`` would do; nothing is changed."""
        path = f"{self._service(name)}/edit"
        return self._connection.call(
            "POST", path, PlanView, params=DRY_RUN, body=request, seconds=SLOW_ANSWER_SECONDS
        )

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

    def _service(self, name: str) -> str:
        """The path of a service."""
        if "/" in name:
            # An access name cannot be one part of a path, so the service is asked for by its id.
            ids = {view.access_name: view.id for view in self.services()}
            name = id_of(name, ids, "there is no service")
        return f"{API}/services/{quote(name, safe='')}"
