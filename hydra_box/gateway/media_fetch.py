"""Media of the web, fetched by the box, so that no engine ever follows an address.

What is fetched takes its address's place as ``data:``. The address that a socket is connected to is
checked, whatever name or redirect led there (``addresses.py``).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress

import aiohttp
from msgspec.json import encode

from hydra_box.errors import InvalidRequest
from hydra_box.gateway.addresses import PrivateAddress, socket_maker
from hydra_box.gateway.media import Media, Source

FETCH_SECONDS = 20.0
"""For all media of a request together."""
MOST_REDIRECTS = 3

_PIECE_BYTES = 64 * 1024
_KINDS = ("image/", "audio/", "video/")
_LONGEST_SHOWN = 100


class MediaFetcher:
    """Fetches what a request names.

    Args:
        limit_bytes: the largest file that is taken.
        allows_private: whether it may lie in the box's own network; never outside of a test.
    """

    def __init__(self, limit_bytes: int, *, allows_private: bool = False) -> None:
        self._limit_bytes = limit_bytes
        self._make_socket = socket_maker(allows_private=allows_private)

    async def put_in(self, body: bytes, media: Media, grown: Callable[[int], None]) -> bytes:
        """The body with everything in it that it only named.

        What has changed is appended: of two equal keys in an object the last one counts.

        Args:
            body: as it was sent.
            media: what is in it.
            grown: is told how many bytes it has with what is fetched; what it raises ends that.

        Raises:
            InvalidRequest: one of them cannot be had.
        """
        connector = aiohttp.TCPConnector(socket_factory=self._make_socket, force_close=True)
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
        ) as session:
            size = len(body)
            for source in media.remote:
                source.holder[source.key] = fetched = await self._fetch(session, source)
                size += len(fetched)
                grown(size)
        changed = (name for name in ("messages", "prompt", "input") if name in media.document)
        members = [b'"%b":%b' % (name.encode(), encode(media.document[name])) for name in changed]
        return b"%b,%b}" % (body.rstrip()[:-1], b",".join(members))

    async def _fetch(self, session: aiohttp.ClientSession, source: Source) -> str:
        why = "it took too long"
        with suppress(TimeoutError):
            try:
                return await self._read(session, source.text.strip())
            except (aiohttp.ClientError, ValueError) as error:
                why = _words(error)
        raise InvalidRequest(
            f"{source.text[:_LONGEST_SHOWN]!r} could not be fetched: {why}",
            hint="send the file itself as data:<type>;base64,...",
            param="messages",
        )

    async def _read(self, session: aiohttp.ClientSession, url: str) -> str:
        async with session.get(url, max_redirects=MOST_REDIRECTS) as response:
            kind = response.content_type
            if response.status != 200:
                raise ValueError(f"it answers with status {response.status}")
            if not kind.startswith(_KINDS):
                raise ValueError(f"it is {kind[:40]}, no image, sound or film")
            data = bytearray()
            async for piece in response.content.iter_chunked(_PIECE_BYTES):
                data += piece
                if len(data) > self._limit_bytes:
                    raise ValueError(f"it has more than {self._limit_bytes:,} bytes")
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _words(error: Exception) -> str:
    """What went wrong, without an address of the box's network."""
    if isinstance(error, aiohttp.ClientConnectorError):
        private = isinstance(error.os_error, PrivateAddress)
        return "its address is private" if private else "nobody answers there"
    if isinstance(error, aiohttp.ClientError):
        return f"it cannot be read ({type(error).__name__})"
    return str(error)
