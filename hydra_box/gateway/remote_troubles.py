"""What an upstream's silence, status or refusal says of it, in words without its address."""

from __future__ import annotations

import math
import os
import re
import ssl
from collections.abc import Mapping

import aiohttp

from hydra_box.gateway.addresses import PrivateAddress
from hydra_box.gateway.channel import InstanceLost
from hydra_box.plan.upstream_health import Trouble, TroubleKind

_ABOUT_THE_MODEL = re.compile(rb"\bmodels?\b|\bdeployment\b", re.IGNORECASE)
_ALIVE = (404, 405, 403, 429)
"""It has no list of models, or none for this key, or not now: it is there."""

_EDIT = "hydra-box upstreams edit SERVICE ID"


def lost(trouble: Trouble) -> InstanceLost:
    """The error by which another instance is tried."""
    fact, _, _ = trouble.reason.partition("; hint: ")
    return InstanceLost(f"the upstream failed: {fact}")


def of_answer(status: int, headers: Mapping[str, str], text: bytes) -> Trouble | None:
    """What an answer that is none says; None: it is about the request, and for the client.

    1. 429: it is at its limit.
    2. 401, 402, and a 404 that speaks of the model: it refuses us.
    3. A redirect, which is never followed, or a page that is no answer: the address is wrong.
    4. 403, 404, 408 and 5xx: it failed. A 403 may be about the key, or about what a filter in front
       of it thinks of this one request, and a 404 about the address, or about what this one request
       needs; neither must keep it from all others at once.
    """
    trouble: Trouble | None = None
    if status == 429:
        trouble = Trouble(
            kind=TroubleKind.BUSY,
            reason="it is at its limit (its status was 429); hint: it is asked again by itself",
            wait_seconds=_seconds(headers.get("Retry-After")),
        )
    elif status == 401:
        trouble = _refused("it refuses the key (its status was 401)", f"{_EDIT} --key-file F")
    elif status == 403:
        trouble = broken(
            "it refuses the key, or the requests (its status was 403); "
            f"hint: if it is the key: {_EDIT} --key-file F"
        )
    elif status == 402:
        trouble = _refused("its account has no credit left (its status was 402)", "add some there")
    elif status == 404 and _ABOUT_THE_MODEL.search(text):
        trouble = _refused("it has no such model (its status was 404)", f"{_EDIT} --model NAME")
    elif status == 404:
        trouble = broken(
            "it has nothing at its address, or not for the requests (its status was 404); "
            "hint: check its address; most end in /v1"
        )
    elif status < 400:
        trouble = _no_answer(status)
    elif status == 408 or status >= 500:
        trouble = broken(f"it failed at a request (its status was {status})")
    return trouble


def of_probe(status: int) -> Trouble | None:
    """What the answer to a probe says; None: it is there."""
    if status < 300 or status in _ALIVE:
        return None
    if status in (401, 402):
        return _refused(f"it refuses the key (its status was {status})", f"{_EDIT} --key-file F")
    if status < 400:
        return _no_answer(status)
    return broken(f"it failed at a probe (its status was {status})")


def broken(reason: str) -> Trouble:
    """It failed."""
    return Trouble(kind=TroubleKind.BROKEN, reason=reason)


def of_error(error: Exception) -> Trouble:
    """What the failure to get an answer says."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _unreachable(f"its certificate is not valid: {_certificate(error)}")
        case aiohttp.ClientConnectorDNSError():
            return _unreachable("its name cannot be resolved")
        case aiohttp.ClientConnectorError():
            return _unreachable_because(error.os_error)
        case aiohttp.ConnectionTimeoutError():
            return _unreachable("it cannot be reached: no connection in time")
        case TimeoutError():
            return broken("it did not answer in time")
    return broken(f"its connection broke ({type(error).__name__})")


def _unreachable_because(error: OSError) -> Trouble:
    if isinstance(error, PrivateAddress) or "the address is private" in str(error):
        return _unreachable(
            "its name leads to a private address",
            "if that is meant, remove it and add it with --allow-private",
        )
    why = os.strerror(error.errno) if error.errno else "no connection"
    return _unreachable(f"it cannot be reached: {why}")


def _unreachable(fact: str, hint: str | None = None) -> Trouble:
    reason = fact if hint is None else f"{fact}; hint: {hint}"
    return Trouble(kind=TroubleKind.UNREACHABLE, reason=reason)


def _refused(fact: str, hint: str) -> Trouble:
    return Trouble(kind=TroubleKind.REFUSED, reason=f"{fact}; hint: {hint}")


def _no_answer(status: int) -> Trouble:
    if status >= 300:
        fact = f"it answers with a redirect (its status was {status}), which is not followed"
    else:
        fact = "what answers there is not an OpenAI-compatible endpoint: it sends no JSON"
    return _refused(fact, "check its address; most end in /v1")


def _certificate(error: aiohttp.ClientConnectorCertificateError) -> str:
    inner = error.certificate_error
    return inner.verify_message if isinstance(inner, ssl.SSLCertVerificationError) else "unknown"


def _seconds(retry_after: str | None) -> float | None:
    """Of a ``Retry-After`` header; None where it is missing, or a date."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None
