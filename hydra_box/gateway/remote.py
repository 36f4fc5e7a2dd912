"""The way to an upstream: HTTPS to another OpenAI-compatible endpoint.

Nothing of the client's request travels but its body, in which the model has the upstream's name.
Nothing of the upstream's answer travels back but its kind and its body, in which the model has our
name. Whatever an upstream does that another one may do better is ``InstanceLost``, and is told to
whoever looks after its health.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

import aiohttp
from yarl import URL

from hydra_box.gateway.addresses import socket_maker
from hydra_box.gateway.channel import (
    CONNECT_TIMEOUT_SECONDS,
    LONGEST_PLAIN_BODY_BYTES,
    Answer,
    InstanceLost,
)
from hydra_box.gateway.interrupt import Interrupt, Interrupted
from hydra_box.gateway.remote_models import context_length_of
from hydra_box.gateway.remote_troubles import broken, lost, of_answer, of_error, of_probe
from hydra_box.gateway.renaming import RenamedPieces, Renaming, ask_for
from hydra_box.plan.upstream_health import Trouble
from hydra_box.types import Frozen

PROBE_TIMEOUT_SECONDS = 10.0
ERROR_LIMIT_BYTES = 64 * 1024
ERROR_TIMEOUT_SECONDS = 10.0
MODELS_LIMIT_BYTES = 4 * 1024 * 1024
"""The longest list of models that is looked at; the largest upstreams have some hundred."""

_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "Accept-Encoding": "identity",
}
_EVENT_STREAM = "text/event-stream"
_CHAT = "/v1/chat/completions"
_OK = 200
_NOT_FOUND = 404

Report = Callable[[Trouble | None], None]
"""Is told what each request shows of the upstream; None: it was answered."""


class Target(Frozen, frozen=True, kw_only=True):
    """Where an upstream is, and how one asks there."""

    base_url: str
    model: str
    key: str | None

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries of ours."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}


class RemoteAnswer(Answer):
    """An upstream's answer, with the model under our name."""

    __slots__ = ("_pieces", "_report")

    def __init__(
        self, response: aiohttp.ClientResponse, renaming: Renaming, report: Report
    ) -> None:
        super().__init__(response)
        self._pieces = RenamedPieces(renaming)
        self._report = report

    @property
    def content_type(self) -> str:
        """One of the two kinds that there are; the upstream's own word is not passed on."""
        return (
            _EVENT_STREAM if super().content_type.startswith(_EVENT_STREAM) else "application/json"
        )

    async def read(self) -> bytes:
        """What has arrived and is sure, at least one byte; empty at the end.

        Raises:
            InstanceLost: the connection broke.

        """
        while True:
            try:
                piece = await super().read()
            except InstanceLost:
                self._report(broken("its answer broke off"))
                raise
            data = self._pieces.feed(piece) if piece else self._pieces.finish()
            if data or not piece:
                return data


class ErrorAnswer(Answer):
    """An upstream's refusal of a request, read to its end, without our key and its model's name."""

    __slots__ = ("_body",)

    def __init__(self, response: aiohttp.ClientResponse, body: bytes, status: int) -> None:
        super().__init__(response)
        self.status = status
        self._body = body

    async def read(self) -> bytes:
        """All of it, then nothing."""
        body, self._body = self._body, b""
        return body


class RemoteChannel:
    """Opens requests at one upstream, over connections that are kept for the next ones.

    Never follows a redirect, uses a proxy of the environment, or sends a cookie. There is no limit
    on how long an answer may take: who asks its health tells whether it is still there.
    """

    def __init__(
        self, target: Target, *, access_name: str, allows_private: bool, report: Report
    ) -> None:
        self._access_name = access_name
        self._report = report
        self._waiting: set[Interrupt] = set()
        self._make_socket = socket_maker(allows_private=allows_private)
        self.context_length: int | None = None
        """Tokens that the model there takes, as the last probe told; None: it does not tell."""
        self._kept = self._session(keep=True)
        self._fresh = self._session(keep=False)
        self.point_at(target)

    def point_at(self, target: Target) -> None:
        """From the next request on it is asked so."""
        self.target = target
        self.context_length = None
        self._renaming = Renaming(target.model, self._access_name)
        self._urls: dict[str, URL] = {}

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a request; returns when the answer's headers are there.

        Raises:
            InstanceLost: there is no answer, or none that is worth passing on.

        """
        renaming = self._renaming
        response = await self._send(self._url(path), ask_for(body, self.target.model))
        if response.status < 300 and _is_answer(response):
            self._report(None)
            return RemoteAnswer(response, renaming, self._report)
        text = await _read_some(response, ERROR_LIMIT_BYTES)
        cleaned = self._cleaned(text, renaming)
        if path != _CHAT and (response.status < 400 or response.status == _NOT_FOUND):
            # A client may ask a chat model for embeddings: that says nothing of its health.
            return ErrorAnswer(response, cleaned, _NOT_FOUND)
        if trouble := of_answer(response.status, response.headers, text):
            self._report(trouble)
            raise lost(trouble)
        self._report(None)
        return ErrorAnswer(response, cleaned, response.status)

    async def probe(self) -> Trouble | None:
        """Ask for the models that it has; None: it is there."""
        model = self.target.model
        try:
            async with self._kept.get(
                self._url("/v1/models"),
                headers=self.target.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=PROBE_TIMEOUT_SECONDS),
            ) as response:
                if response.status == _OK:
                    body = await _read_some(response, MODELS_LIMIT_BYTES)
                    self.context_length = context_length_of(body, model)
                return of_probe(response.status)
        except (aiohttp.ClientError, OSError) as error:
            return of_error(error)

    def give_up(self) -> None:
        """Requests that have no answer yet are lost: it is not there any more."""
        for waiting in list(self._waiting):
            waiting.fire()

    async def close(self) -> None:
        """Close what is left open."""
        await self._kept.close()
        await self._fresh.close()

    def _session(self, *, keep: bool) -> aiohttp.ClientSession:
        # The leases bound the connections; a limit here would make requests wait unseen.
        connector = aiohttp.TCPConnector(
            limit=0, force_close=not keep, socket_factory=self._make_socket
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            skip_auto_headers=("User-Agent",),
        )

    def _url(self, path: str) -> URL:
        if (url := self._urls.get(path)) is None:
            url = self._urls[path] = URL(self.target.base_url + path.removeprefix("/v1"))
        return url

    async def _send(self, url: URL, body: bytes) -> aiohttp.ClientResponse:
        try:
            try:
                return await self._ask(self._kept, url, body)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if isinstance(error, aiohttp.ClientConnectorError):
                    raise
                # A kept connection may have been closed at the other side as it was used again.
                return await self._ask(self._fresh, url, body)
        except Interrupted as error:
            raise InstanceLost("the upstream is gone") from error
        except (aiohttp.ClientError, OSError) as error:
            trouble = of_error(error)
            self._report(trouble)
            raise lost(trouble) from error

    async def _ask(
        self, session: aiohttp.ClientSession, url: URL, body: bytes
    ) -> aiohttp.ClientResponse:
        data = body if len(body) <= LONGEST_PLAIN_BODY_BYTES else io.BytesIO(body)
        with Interrupt() as given_up:
            self._waiting.add(given_up)
            try:
                return await session.post(
                    url, data=data, headers=self.target.headers, allow_redirects=False
                )
            finally:
                self._waiting.discard(given_up)

    def _cleaned(self, text: bytes, renaming: Renaming) -> bytes:
        if self.target.key is not None:
            text = text.replace(self.target.key.encode(), b"(the key)")
        return renaming.of_error(text)


def _is_answer(response: aiohttp.ClientResponse) -> bool:
    kind = (
        response.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()
    )
    return kind in ("application/json", _EVENT_STREAM)


async def _read_some(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """What it says, or the beginning of that; empty if it does not come."""
    text = bytearray()
    try:
        async with asyncio.timeout(ERROR_TIMEOUT_SECONDS):
            while len(text) < limit_bytes and (part := await response.content.readany()):
                text += part
    except (aiohttp.ClientError, OSError):
        # The status tells enough.
        return b""
    finally:
        response.close()
    return bytes(text[:limit_bytes])
