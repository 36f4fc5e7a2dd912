"""What an upstream may be set to."""

from __future__ import annotations

import math
import re
from urllib.parse import SplitResult, urlsplit

from hydra_box.errors import InvalidRequest
from hydra_box.gateway.addresses import is_private, literal
from hydra_box.messages import UpstreamRequest
from hydra_box.types import Service

LONGEST_URL = 1024
LONGEST_MODEL = 256
LONGEST_KEY = 1024
MOST_REQUESTS = 10_000
HEAVIEST = 1000.0

_PATH = re.compile(r"(?:/[\w.~+:@-]+)*", re.ASCII)
_NAME = re.compile(r"(?=.{1,253}\.?\Z)[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?", re.ASCII)
_MODEL = re.compile(r"[!#-\[\]-~]+", re.ASCII)
_KEY = re.compile(r"[!-~]+", re.ASCII)

_EXAMPLE = "give what stands before /chat/completions, like https://api.example.com/v1"


def check_upstream(request: UpstreamRequest) -> tuple[str, str | None]:
    """The base URL, as it is stored, and the key of an upstream that may be added.

    Raises:
        InvalidRequest: a value is wrong; ``param`` names it.

    """
    url = check_url(request.base_url, allow_private=request.allow_private)
    check_model(request.model)
    check_weight(request.weight)
    check_most_requests(request.most_requests)
    return url, None if request.api_key is None else check_key(request.api_key)


def check_public(service: Service) -> None:
    """Whether a service may have upstreams.

    Raises:
        InvalidRequest: it belongs to one user, whose requests would leave the box unseen.

    """
    if not service.public:
        raise InvalidRequest(
            f"{service.name} is not public, and only public services have upstreams",
            hint="hydra-box deploy MODEL --public --upstream URL --upstream-model NAME",
        )


def check_url(text: str, *, allow_private: bool) -> str:
    """The base URL, as it is stored.

    Raises:
        InvalidRequest: it is none, has more than scheme, host, port and path, or leads to a private
            address and that was not allowed.

    """
    url = _split(text)
    host = (url.hostname or "").lower()
    try:
        address = literal(host)
    except ValueError as error:
        raise _wrong(f"{host!r} is not an address in the usual notation") from error
    if address is None and not _NAME.fullmatch(host):
        raise _wrong(f"{host[:LONGEST_MODEL]!r} is not the name of a host")
    local_name = host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
    if not allow_private and (local_name or (address is not None and is_private(address))):
        raise InvalidRequest(
            f"{host} is a private address: of this machine, its network, or nobody",
            hint="if that is meant, say so with --allow-private (allow_private in the API)",
            param="base_url",
        )
    return f"{url.scheme}://{_host_and_port(url, host)}{url.path.rstrip('/')}"


def check_model(model: str) -> str:
    """The name of a model at an upstream.

    Raises:
        InvalidRequest: no endpoint has such a name.

    """
    if len(model) > LONGEST_MODEL or not _MODEL.fullmatch(model):
        raise InvalidRequest(
            f"the upstream's model cannot be {model[:LONGEST_MODEL]!r}",
            hint=f"use 1 to {LONGEST_MODEL} visible ASCII characters, no quotes or backslashes",
            param="model",
        )
    return model


def check_key(key: str) -> str:
    """The upstream's API key; no error repeats it.

    Raises:
        InvalidRequest: no header can carry it.

    """
    if len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        raise InvalidRequest(
            f"the upstream's key has {len(key):,} characters, or some that no key has",
            hint=f"use 1 to {LONGEST_KEY:,} visible ASCII characters, without spaces",
            param="api_key",
        )
    return key


def check_weight(weight: float) -> float:
    """Its share beside others.

    Raises:
        InvalidRequest: it is not a number above 0 and up to 1000.

    """
    if not (math.isfinite(weight) and 0.001 <= weight <= HEAVIEST):
        raise InvalidRequest(
            f"the weight cannot be {weight:g}", hint=f"use 0.001 to {HEAVIEST:g}", param="weight"
        )
    return weight


def check_most_requests(number: int) -> int:
    """How many requests it is given at once.

    Raises:
        InvalidRequest: it is not between 1 and 10,000.

    """
    if not 1 <= number <= MOST_REQUESTS:
        # A huge number takes long to write out, and Python refuses the longest.
        told = f"{number:,}" if number.bit_length() <= 64 else "a number of more than 64 bits"
        raise InvalidRequest(
            f"most_requests cannot be {told}",
            hint=f"use 1 to {MOST_REQUESTS:,}",
            param="most_requests",
        )
    return number


def _split(text: str) -> SplitResult:
    if len(text) > LONGEST_URL or not text.isascii() or not text.isprintable() or " " in text:
        raise _wrong(f"the base URL has {len(text):,} characters, or some that no URL has")
    if set(text) & set("?#%\\"):
        raise _wrong("the base URL has more than scheme, host, port and path")
    try:
        url = urlsplit(text)
        has_port = url.port is None or url.port > 0
    except ValueError as error:
        raise _wrong("the base URL cannot be read") from error
    if url.scheme not in ("http", "https"):
        raise _wrong("the base URL begins neither with https:// nor with http://")
    if "@" in url.netloc:
        raise _wrong("the base URL has a user in it; a key is given by itself")
    if not has_port or not _PATH.fullmatch(url.path.rstrip("/")) or "/.." in f"{url.path}/":
        raise _wrong("the base URL has a port or a path that is not possible")
    return url


def _host_and_port(url: SplitResult, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if url.port is None else f"{shown}:{url.port}"


def _wrong(fact: str) -> InvalidRequest:
    return InvalidRequest(fact, hint=_EXAMPLE, param="base_url")
