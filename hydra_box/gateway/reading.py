"""Reading a request of the endpoint: its body within the limits, and what it says."""

from __future__ import annotations

import msgspec

from hydra_box.config import Settings
from hydra_box.errors import PayloadTooLarge
from hydra_box.gateway.bodies import Bodies, HeldBody
from hydra_box.gateway.exchange import Exchange
from hydra_box.gateway.media import check_media
from hydra_box.gateway.media_fetch import MediaFetcher
from hydra_box.gateway.request import InferenceRequest, parse


class Reader:
    """Reads the requests of all clients."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._media = MediaFetcher(settings.media_limit_bytes)
        self.bodies = Bodies(settings.body_memory_bytes)

    async def read(self, exchange: Exchange, held: HeldBody) -> InferenceRequest:
        """The request, whose body ``held`` counts from now on.

        Raises:
            PayloadTooLarge: its body is over a limit.
            Unavailable: there is no room for it now.
            InvalidRequest: it makes no sense, or asks for what is refused.
            ClientGone: the client left before the body's end.
        """
        limit = self._settings.body_limit_bytes
        self._check_length(exchange.header(b"content-length"), limit)
        request = parse(await exchange.read_body(limit, held.grow_to), self._settings.choices_limit)
        if request.has_media:
            media = check_media(request.body, self._settings)
            if media.remote:
                body = await self._media.put_in(request.body, media, held.grow_to)
                request = msgspec.structs.replace(request, body=body)
        return request

    def _check_length(self, content_length: str | None, limit_bytes: int) -> None:
        if content_length is None:
            return
        size = int(content_length)
        if size > limit_bytes:
            raise PayloadTooLarge(
                f"the body has {size:,} bytes; the limit is {limit_bytes:,}",
                hint="the setting body_limit_bytes raises it",
            )
        self.bodies.check(size)
