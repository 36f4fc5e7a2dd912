"""Which handlers there are, and under which heading the API document lists them."""

from __future__ import annotations

from litestar import Router

from api import (
    backups,
    downloads,
    engines,
    events,
    health,
    keys,
    library,
    machine,
    metrics,
    models,
    plan,
    services,
    upstreams,
    usage,
    users,
)


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
                    services.services_live,
                    services.deploy,
                    services.get_service,
                    services.service_history,
                    services.scale,
                    services.edit,
                    services.start,
                    services.stop,
                    services.delete_service,
                    services.logs,
                ],
            ),
            Router(
                "/",
                tags=["upstreams"],
                route_handlers=[
                    upstreams.list_upstreams,
                    upstreams.add_upstream,
                    upstreams.check_upstream,
                    upstreams.edit_upstream,
                    upstreams.remove_upstream,
                ],
            ),
            Router(
                "/",
                tags=["models"],
                route_handlers=[models.list_models, models.get_model, plan.plan],
            ),
            Router(
                "/",
                tags=["library"],
                route_handlers=[
                    library.list_library,
                    library.import_model,
                    library.scan_models,
                    library.get_stored,
                    library.verify_model,
                    library.remove_model,
                ],
            ),
            Router(
                "/",
                tags=["downloads"],
                route_handlers=[
                    downloads.list_downloads,
                    downloads.pull_model,
                    downloads.get_download,
                    downloads.pause_download,
                    downloads.resume_download,
                    downloads.cancel_download,
                ],
            ),
            Router(
                "/",
                tags=["machine"],
                route_handlers=[
                    machine.status,
                    machine.restart,
                    machine.machine,
                    machine.machine_live,
                    events.events,
                    events.recent_events,
                    backups.backup,
                ],
            ),
            Router(
                "/",
                tags=["users"],
                route_handlers=[
                    users.list_users,
                    users.create_user,
                    users.get_user,
                    users.edit_user,
                    users.delete_user,
                ],
            ),
            Router(
                "/",
                tags=["keys"],
                route_handlers=[
                    keys.list_keys,
                    keys.create_key,
                    keys.get_key,
                    keys.edit_key,
                    keys.rotate_key,
                    keys.revoke_key,
                    usage.usage,
                    usage.usage_requests,
                ],
            ),
            Router(
                "/",
                tags=["engines"],
                route_handlers=[
                    engines.list_engines,
                    engines.install,
                    engines.verify,
                    engines.pin,
                    engines.unpin,
                    engines.remove,
                ],
            ),
        ],
    )


def health_router() -> Router:
    """For whoever watches the daemon: liveness, readiness, metrics."""
    return Router(
        "/",
        route_handlers=[
            Router("/", tags=["health"], route_handlers=[health.healthz, health.readyz]),
            Router("/", tags=["machine"], route_handlers=[metrics.metrics]),
        ],
    )
