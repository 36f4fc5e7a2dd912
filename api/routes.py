"""Which handlers there are, and under which heading the API document lists them."""

from __future__ import annotations

from litestar import Router

from api import engines, events, health, keys, machine, services


def management_router() -> Router:
    """The management API."""
    return Router(
        "/api/v1",
        route_handlers=[
            Router(
                "/",
                tags=["services"],
                route_handlers=[
                    services.list_services,
                    services.deploy,
                    services.get_service,
                    services.scale,
                    services.start,
                    services.stop,
                    services.delete_service,
                    services.logs,
                ],
            ),
            Router(
                "/",
                tags=["machine"],
                route_handlers=[machine.status, machine.machine, machine.models, events.events],
            ),
            Router(
                "/",
                tags=["keys"],
                route_handlers=[keys.list_keys, keys.create_key, keys.revoke_key],
            ),
            Router(
                "/",
                tags=["engines"],
                route_handlers=[
                    engines.list_engines,
                    engines.install,
                    engines.verify,
                    engines.remove,
                ],
            ),
        ],
    )


def health_router() -> Router:
    """Liveness and readiness."""
    return Router("/", tags=["health"], route_handlers=[health.healthz, health.readyz])
