"""Answers that the gateway gives itself: errors, and JSON of its own."""

from __future__ import annotations

import msgspec

from hydra_box.errors import HydraError
from hydra_box.gateway.exchange import Exchange, Headers

JSON = b"application/json"


def head(request_id: bytes, content_type: bytes, *more: tuple[bytes, bytes]) -> Headers:
    """The headers of an answer."""
    return [(b"content-type", content_type), (b"x-request-id", request_id), *more]


async def send_whole(
    exchange: Exchange,
    request_id: bytes,
    body: bytes,
    *more: tuple[bytes, bytes],
    status: int = 200,
    content_type: bytes = JSON,
) -> None:
    """An answer whose body is known; ``more`` are further headers."""
    length = (b"content-length", str(len(body)).encode())
    await exchange.start(status, head(request_id, content_type, length, *more))
    await exchange.send(body, more=False)


async def send_error(
    exchange: Exchange, request_id: bytes, error: HydraError, *more: tuple[bytes, bytes]
) -> None:
    """An error as the whole answer."""
    headers = list(more)
    if error.http_status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="hydra-box"'))
    if error.retry_after_seconds is not None:
        headers.append((b"retry-after", str(error.retry_after_seconds).encode()))
    body = msgspec.json.encode(error.body())
    await send_whole(exchange, request_id, body, *headers, status=error.http_status)
