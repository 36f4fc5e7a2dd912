"""What the hub refuses, in words for the owner of the box."""

from __future__ import annotations

import httpx
from huggingface_hub import errors
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    hf_raise_for_status,
    parse_ratelimit_headers,
)

from hydra_box.errors import Forbidden, HydraError, NotFound, RepositoryNotFound, Unavailable

CREDENTIAL = "HF_TOKEN"
SET_IT = f"hf auth login, or {CREDENTIAL} in the daemon's environment"
_TOLD = ("X-Error-Code", "X-Error-Message", "Retry-After", "RateLimit")


def raise_for_status(response: httpx.Response) -> None:
    """Return if the answer is one.

    Raises:
        HfHubHTTPError: what the hub's own package makes of the refusal.
    """
    if response.is_error:
        # Without its body, which nobody bounds and the package reads for a text of its own.
        headers = {name: response.headers[name] for name in _TOLD if name in response.headers}
        hf_raise_for_status(
            httpx.Response(response.status_code, headers=headers, request=response.request)
        )


def translated(error: errors.HfHubHTTPError, repository: str, endpoint: str) -> HydraError:
    """The error that the hub's answer about ``repository`` means."""
    page = f"{endpoint}/{repository}"
    match error:
        case errors.GatedRepoError():
            return Forbidden(
                f"{repository} is gated: its owner lets only some accounts read it",
                hint=f"accept its licence on {page}, and give the daemon a token of that account "
                f"({SET_IT})",
                param="model",
            )
        case errors.RevisionNotFoundError():
            return NotFound(
                f"{repository} has no such revision",
                hint=f"see {page}/commits/main",
                param="model",
            )
        case errors.RemoteEntryNotFoundError():
            return NotFound(f"{repository} has no such file", hint=f"see {page}", param="model")
        case errors.DisabledRepoError():
            return Forbidden(
                f"the hub has disabled {repository}", hint="use another model", param="model"
            )
        case errors.RepositoryNotFoundError():
            return RepositoryNotFound(
                f"the hub at {endpoint} has no repository {repository}, or it is private",
                hint="check the name; for a private one give the daemon a token in "
                f"{CREDENTIAL} that may read it",
                param="model",
            )
    return _of_status(error.response, repository, endpoint)


def _of_status(response: httpx.Response, repository: str, endpoint: str) -> HydraError:
    status = response.status_code
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        is_rejected = "invalid" in response.headers.get("X-Error-Message", "").lower()
        why = "the token is not valid" if is_rejected else "the token may not read it"
        return Forbidden(
            f"the hub at {endpoint} refuses access to {repository} (HTTP {status}): {why}",
            hint=f"give the daemon one that is valid and may read it ({SET_IT})",
            param="model",
        )
    if status == httpx.codes.NOT_FOUND:
        return RepositoryNotFound(
            f"the hub at {endpoint} has no repository {repository}",
            hint="check the name",
            param="model",
        )
    return Unavailable(
        f"the hub at {endpoint} answered HTTP {status}",
        hint="try again later",
        retry_after_seconds=_asked_delay(response.headers),
    )


def _asked_delay(headers: httpx.Headers) -> int | None:
    """Seconds that the hub asks to wait: ``Retry-After``, or when its limit starts anew."""
    wait = headers.get("Retry-After", "")
    if wait.isdecimal() and len(wait) < 6:
        return int(wait)
    limits = parse_ratelimit_headers(headers)
    return None if limits is None else limits.reset_in_seconds
