"""What can be wrong with a connection to a daemon, as errors that say what helps."""

from __future__ import annotations

import httpx

from hydra_box.errors import BY_CODE, DaemonUnreachable, HydraError, InvalidRequest, Unauthenticated
from hydra_box.types import ErrorBody


def no_daemon(where: str, error: Exception) -> DaemonUnreachable:
    """Why nobody answers there, and what helps."""
    if isinstance(error, PermissionError):
        return DaemonUnreachable(
            f"{where} belongs to another user",
            hint="with an admin key the box can be managed at its URL: --url URL --api-key KEY",
        )
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return DaemonUnreachable(
            f"{where} shows a certificate that is not trusted here: {_tls_fault(error)}",
            hint="SSL_CERT_FILE=FILE names the authority that signed it, or the certificate itself",
        )
    why = (isinstance(error, OSError) and error.strerror) or str(error)
    return DaemonUnreachable(
        f"no daemon answers at {where}: {why}", hint="start one with: hydra-box serve"
    )


def broken_hint(where: str, error: httpx.RequestError) -> str:
    """What helps when a connection broke."""
    if where.startswith("http://") and isinstance(error, httpx.RemoteProtocolError):
        return f"if that box speaks https: --url {where.replace('http', 'https', 1)}"
    return "hydra-box status tells whether the daemon is still there"


def _tls_fault(error: Exception) -> str:
    """``self-signed certificate``, of all that OpenSSL says around it."""
    told = str(error).partition("certificate verify failed: ")[2] or str(error)
    return told.partition(" (_ssl.c")[0]


def error_of(body: ErrorBody, retry_after_seconds: int | None = None) -> HydraError:
    """An error answer as the class that it was raised as."""
    kind = BY_CODE.get(body.error.code, HydraError)
    return kind(
        body.error.message,
        hint=body.hint,
        param=body.error.param,
        retry_after_seconds=retry_after_seconds,
    )


def check_url(url: str) -> str:
    """The address of a box, if it can be one."""
    if not url.startswith(("http://", "https://")):
        raise InvalidRequest(
            f"{url!r} is not the address of a box",
            hint="it looks like http://192.168.1.20:4937",
            param="url",
        )
    try:
        return str(httpx.URL(url))
    except httpx.InvalidURL as error:
        raise InvalidRequest(f"{url!r} is not a URL: {error}", param="url") from error


def check_key(api_key: str) -> str:
    """A key, if it can be one."""
    if not api_key.isascii() or not api_key.isprintable():
        raise Unauthenticated("the API key has characters that no key has")
    return api_key
