"""The one application: the management API, the endpoint and the health checks."""

from __future__ import annotations

from urllib.parse import urlsplit

from litestar import Litestar

from api.bodies import BODY_LIMIT_BYTES, StrictRequest
from api.openai import create_openai_handler
from api.openapi import docs, openapi_json
from api.problems import EXCEPTION_HANDLERS
from api.routes import health_router, management_router
from api.security import create_guard
from api.wiring import provide_box
from hydra_box.box import Box


def create_app(box: Box) -> Litestar:
    """The ASGI application over an assembled appliance.

    Its streams end when ``box.events`` is closed.
    """
    bound = {box.settings.host, urlsplit(box.url).hostname or ""}
    return Litestar(
        [
            create_openai_handler(box.relay),
            management_router(),
            health_router(),
            openapi_json,
            docs,
        ],
        dependencies=provide_box(box),
        guards=[create_guard(box.keys, bound, box.settings)],
        exception_handlers=EXCEPTION_HANDLERS,
        request_class=StrictRequest,
        request_max_body_size=BODY_LIMIT_BYTES,
        logging_config=None,
        openapi_config=None,
    )
