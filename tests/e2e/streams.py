"""Clients at the level of sockets: many at once, and able to leave at any byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

LONG_PROMPT = "Tell me a long story."


def chat(model: str, prompt: str = LONG_PROMPT, **options: Any) -> dict[str, Any]:
    """The body of a chat request with one user message."""
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **options}


async def open_stream(
    url: str, key: str, body: Mapping[str, Any]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request on a connection of its own; the answer is not read yet."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    payload = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        f"Host: {address.netloc}\r\n"
        f"Authorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\n"
        "Connection: close\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    )
    writer.write(head.encode() + payload)
    await writer.drain()
    return reader, writer


async def leave(writer: asyncio.StreamWriter) -> None:
    """Close the connection, whatever is still to come."""
    writer.transport.abort()
    try:
        await writer.wait_closed()
    except ConnectionError:
        return


async def leave_after_first_event(url: str, key: str, body: Mapping[str, Any]) -> None:
    """Read up to the first streamed event, then go."""
    reader, writer = await open_stream(url, key, body)
    try:
        await reader.readuntil(b"data: ")
    finally:
        await leave(writer)


async def read_whole(url: str, key: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
    """The status and everything after it, to the end of the connection."""
    reader, writer = await open_stream(url, key, body)
    try:
        answer = await reader.read()
    finally:
        await leave(writer)
    return int(answer.split(b" ", 2)[1]), answer
