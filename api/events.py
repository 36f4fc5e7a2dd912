"""What happens on this box, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import FromQuery, HeaderParameter, QueryParameter

from api.streaming import Streamed, with_pauses
from api.wiring import BoxParam
from hydra_box.box import Box
from hydra_box.store import Store
from hydra_box.types import Event

SSE = "text/event-stream; charset=utf-8"
KEEP_ALIVE_SECONDS = 15.0
_PAGE = 200
_MOST_RECENT = 1000


@get("/events", media_type=SSE)
async def events(
    box: BoxParam,
    after: Annotated[int | None, QueryParameter(ge=0)] = None,
    last_event_id: Annotated[int | None, HeaderParameter(name="Last-Event-ID", ge=0)] = None,
) -> Streamed:
    """Events as they happen: ``id``, ``event`` (its kind) and ``data`` (the event as JSON).

    With ``after``, or the ``Last-Event-ID`` of a browser that reconnects, first those that were
    stored after that one. A comment line every 15 seconds keeps the connection open.
    """
    chunks = _chunks(box, last_event_id if after is None else after)
    return Streamed(chunks, media_type=SSE, stopped_by=box.events)


@get("/events/recent")
async def recent_events(
    box: BoxParam,
    service: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=_MOST_RECENT)] = 100,
) -> list[Event]:
    """The last events that were stored, oldest first.

    With ``service``, its name, id or access name: those of that service only.
    """
    service_id = None if service is None else box.services.get(service).id
    return await box.store.recent_events(service_id=service_id, limit=limit)


async def _chunks(box: Box, after: int | None) -> AsyncGenerator[bytes, None]:
    """Stored events, then live ones, each once; what a slow reader missed comes from the store."""
    with box.events.subscribe() as published:
        yield b": connected\n\n"
        last: int | None = None
        if after is not None:
            async for event in _stored(box.store, after):
                yield _encode(event)
                last = event.id
        async with aclosing(with_pauses(published, KEEP_ALIVE_SECONDS)) as live:
            async for news in live:
                if news is None:
                    yield b": keep-alive\n\n"
                elif not news.id:
                    yield _encode(news)
                elif last is None or news.id == last + 1:
                    yield _encode(news)
                    last = news.id
                elif news.id > last:
                    async for event in _stored(box.store, last):
                        yield _encode(event)
                        last = event.id


async def _stored(store: Store, after: int) -> AsyncGenerator[Event, None]:
    while page := await store.events(after=after, limit=_PAGE):
        for event in page:
            yield event
        after = page[-1].id


def _encode(event: Event) -> bytes:
    data = msgspec.json.encode(event)
    # Progress has no number: who reconnects asks for what came after the last event that had one.
    number = b"id: %d\n" % event.id if event.id else b""
    return b"%sevent: %s\ndata: %s\n\n" % (number, event.kind.encode(), data)
