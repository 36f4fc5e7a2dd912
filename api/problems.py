"""Everything that can go wrong, as one answer: ``ErrorBody`` with the status that fits."""

from __future__ import annotations

import logging
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from api.bodies import SEE_DOCS
from hydra_box.errors import (
    Forbidden,
    HydraError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    Unauthenticated,
)
from hydra_box.json_words import what_to_send
from hydra_box.types import ErrorBody

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]

LONGEST_PATH = 256
"""Characters of a path that are told back."""

_BY_STATUS = {one.http_status: one for one in (Unauthenticated, Forbidden, RateLimited)}


def answer_hydra_error(request: AnyRequest, error: HydraError) -> Response[ErrorBody]:
    """What Hydra Box raised on purpose."""
    if error.http_status == 500:
        log.error("%s %s: %s", request.method, request.url.path, error, exc_info=error)
    headers = {}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="hydra-box"'
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return Response(error.body(), status_code=error.http_status, headers=headers)


def answer_http_exception(request: AnyRequest, error: HTTPException) -> Response[ErrorBody]:
    """What Litestar refused before a handler saw it."""
    match error.status_code:
        case 404:
            return answer_hydra_error(
                request,
                NotFound(
                    f"nothing is at {request.url.path[:LONGEST_PATH]}",
                    hint="/api/v1/docs lists what this box answers",
                ),
            )
        case 405:
            allowed = (error.headers or {}).get("allow", "")
            refused = MethodNotAllowed(
                f"{request.url.path} does not take {request.method}", hint=f"it takes {allowed}"
            )
            return Response(refused.body(), status_code=405, headers={"Allow": allowed})
        case 413:
            limit = request.route_handler.resolve_request_max_body_size()
            return answer_hydra_error(
                request,
                PayloadTooLarge(f"the body is over the limit of {limit:,} bytes", hint=SEE_DOCS),
            )
        case status if status < 500:
            return answer_hydra_error(request, _refusal(error))
        case _:
            return answer_unexpected(request, error)


def answer_unexpected(request: AnyRequest, error: Exception) -> Response[ErrorBody]:
    """A fault of ours: the log has it all, the client learns that it happened."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    unexpected = HydraError(
        f"{request.method} {request.url.path} failed unexpectedly",
        hint="the daemon's log says why",
    )
    return Response(unexpected.body(), status_code=500)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    HydraError: answer_hydra_error,
    HTTPException: answer_http_exception,
    Exception: answer_unexpected,
}


def _refusal(error: HTTPException) -> HydraError:
    """The first of Litestar's findings about path, query or body, as a sentence."""
    if error.status_code != 400:
        return _BY_STATUS.get(error.status_code, InvalidRequest)(error.detail, hint=SEE_DOCS)
    findings = error.extra if isinstance(error.extra, list) else []
    for finding in findings:
        if finding.get("key") == "data":
            return InvalidRequest("the request has no body", hint="send a JSON object")
        if key := finding.get("key"):
            told = str(finding["message"])
            message = told.replace("`", "")
            return InvalidRequest(
                f"{key}: {message[:1].lower()}{message[1:]}",
                hint=what_to_send(told) or SEE_DOCS,
                param=key,
            )
    return InvalidRequest(error.detail, hint=SEE_DOCS)
