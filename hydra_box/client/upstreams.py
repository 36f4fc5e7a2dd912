"""The upstreams of public services."""

from __future__ import annotations

from urllib.parse import quote

from hydra_box.client.services import ServiceCalls
from hydra_box.messages import EditUpstreamRequest, UpstreamRequest, UpstreamView


class UpstreamCalls(ServiceCalls):
    """The upstreams of public services, which are given by name, id or access name."""

    def upstreams(self, service: str) -> tuple[UpstreamView, ...]:
        """A service's upstreams, without their keys."""
        return self._connection.call("GET", self._upstreams(service), tuple[UpstreamView, ...])

    def add_upstream(self, service: str, request: UpstreamRequest) -> UpstreamView:
        """Give a service an upstream."""
        return self._connection.call("POST", self._upstreams(service), UpstreamView, body=request)

    def edit_upstream(self, service: str, id: str, request: EditUpstreamRequest) -> UpstreamView:
        """Change an upstream."""
        path = f"{self._upstreams(service)}/{quote(id, safe='')}"
        return self._connection.call("PATCH", path, UpstreamView, body=request)

    def remove_upstream(self, service: str, id: str) -> UpstreamView:
        """Take an upstream away."""
        path = f"{self._upstreams(service)}/{quote(id, safe='')}"
        return self._connection.call("DELETE", path, UpstreamView)

    def check_upstream(self, service: str, id: str) -> UpstreamView:
        """Ask an upstream for its health now."""
        path = f"{self._upstreams(service)}/{quote(id, safe='')}/check"
        return self._connection.call("POST", path, UpstreamView)

    def _upstreams(self, service: str) -> str:
        return f"{self._service(service)}/upstreams"
