"""What the hub refuses, in words for the owner of the box."""

from __future__ import annotations

import httpx
from huggingface_hub import errors

from hydra_box.errors import Forbidden, HydraError, NotFound, Unavailable

CREDENTIAL = "HF_TOKEN"


def translated(error: errors.HfHubHTTPError, repository: str, endpoint: str) -> HydraError:
    """The error that the hub's answer about ``repository`` means."""
    page = f"{endpoint}/{repository}"
    a_token = f"a token in {CREDENTIAL} that may read it"
    match error:
        case errors.GatedRepoError():
            return Forbidden(
                f"{repository} is gated: its owner lets only some accounts read it",
                hint=f"ask for access on {page}, and give the daemon {a_token}",
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
            return NotFound(
                f"the hub at {endpoint} has no repository {repository}, or it is private",
                hint=f"check the name; for a private one give the daemon {a_token}",
                param="model",
            )
    return _of_status(error.response, repository, endpoint)


def _of_status(response: httpx.Response, repository: str, endpoint: str) -> HydraError:
    status = response.status_code
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return Forbidden(
            f"the hub at {endpoint} refuses access to {repository} (HTTP {status})",
            hint="check that the token in HF_TOKEN is valid and may read it",
            param="model",
        )
    if status == httpx.codes.NOT_FOUND:
        return NotFound(
            f"the hub at {endpoint} has no repository {repository}",
            hint="check the name",
            param="model",
        )
    wait = response.headers.get("Retry-After", "")
    return Unavailable(
        f"the hub at {endpoint} answered HTTP {status}",
        hint="try again later",
        retry_after_seconds=int(wait) if wait.isdecimal() and len(wait) < 6 else None,
    )
