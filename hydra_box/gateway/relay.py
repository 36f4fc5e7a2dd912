"""One exchange from its first to its last byte: authenticate, route, relay, meter.

No database, no decoding of what an engine streams, and no wait but for a slot, the engine and the
client. The slot is given back and the engine's connection closed in every case, by calls that
cannot be interrupted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping

import msgspec

from hydra_box.config import Settings
from hydra_box.engines.base import Dialect
from hydra_box.errors import (
    HydraError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
)
from hydra_box.gateway import access
from hydra_box.gateway.answers import send_error, send_whole
from hydra_box.gateway.attempt import Job, run
from hydra_box.gateway.endpoint import Endpoint, stopping
from hydra_box.gateway.exchange import ClientGone, Exchange
from hydra_box.gateway.finished import Record, forget
from hydra_box.gateway.interrupt import Interrupt, Interrupted
from hydra_box.gateway.key_limit import KeyLimit
from hydra_box.gateway.pool import Pool
from hydra_box.gateway.request import LONGEST_MODEL_CHARACTERS, parse
from hydra_box.keys import KeyRing
from hydra_box.types import EngineName, Outcome, RequestRecord, ServiceStatus

INFERENCE = ("/chat/completions", "/completions", "/embeddings")
MODELS = "/models"
"""Paths of the endpoint, after ``/v1`` or after nothing."""


class Relay:
    """Answers every exchange of the OpenAI-compatible endpoint."""

    def __init__(
        self,
        pool: Pool,
        keys: KeyRing,
        engines: Mapping[EngineName, Dialect],
        settings: Settings,
        *,
        record: Record = forget,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._engines = engines
        self._settings = settings
        self._record = record
        self._clock = clock
        self._key_limit = KeyLimit(settings.key_concurrency_limit, clock)
        self._accepting = True

    @property
    def accepting(self) -> bool:
        """Whether new requests are taken."""
        return self._accepting

    def stop_accepting(self) -> None:
        """From now on every new request, and every one that waits for a slot, is answered 503."""
        self._accepting = False
        self._pool.refuse_waiting()

    async def handle(self, exchange: Exchange) -> None:
        """Answer one exchange; returns when it is over, whoever ended it."""
        request_id = f"req-{os.urandom(12).hex()}".encode()
        try:
            await self._answer(exchange, request_id)
        except (ClientGone, Interrupted):
            return
        except HydraError as error:
            await send_error(exchange, request_id, error)

    async def _answer(self, exchange: Exchange, request_id: bytes) -> None:
        started_at = self._clock()
        if not self._accepting:
            raise stopping()
        caller = self._authenticate(exchange)
        path = exchange.path.removeprefix("/v1")
        if (allowed := _allowed_method(path)) is None:
            raise NotFound(
                f"nothing is at {exchange.path[:LONGEST_MODEL_CHARACTERS]!r}",
                hint=f"there are {', '.join(f'/v1{one}' for one in (*INFERENCE, MODELS))}",
            )
        if exchange.method != allowed:
            await _refuse_method(exchange, request_id, allowed)
        elif path in INFERENCE:
            with self._key_limit.hold(caller):
                await self._infer(exchange, request_id, caller, started_at)
        elif path == MODELS:
            data = [_model(one) for one in self._callable(caller)]
            await _send_json(exchange, request_id, {"object": "list", "data": data})
        else:
            endpoint = self._find(caller, path.removeprefix(f"{MODELS}/"))
            await _send_json(exchange, request_id, _model(endpoint))

    def _authenticate(self, exchange: Exchange) -> access.Caller:
        if exchange.trusted:
            return access.LOCAL_USER
        caller = access.caller_of(self._keys.authenticate(exchange.header(b"authorization")))
        access.check_may_infer(caller)
        return caller

    def _callable(self, caller: access.Caller) -> list[Endpoint]:
        return [
            one
            for one in self._pool.endpoints()
            if one.status is not ServiceStatus.DELETING and access.may_call(caller, one.service)
        ]

    def _find(self, caller: access.Caller, model: str) -> Endpoint:
        endpoint = self._pool.find(model)
        if endpoint is None or endpoint.status is ServiceStatus.DELETING:
            names = [one.access_name for one in self._callable(caller)]
            raise access.unknown_model(model[:LONGEST_MODEL_CHARACTERS], names)
        access.check_may_call(caller, endpoint.service)
        return endpoint

    async def _infer(
        self,
        exchange: Exchange,
        request_id: bytes,
        caller: access.Caller,
        started_at: float,
    ) -> None:
        limit = self._settings.body_limit_bytes
        _check_length(exchange.header(b"content-length"), limit)
        request = parse(await exchange.read_body(limit))
        endpoint = self._find(caller, request.model)
        endpoint.requests += 1
        job = Job(
            exchange=exchange,
            request_id=request_id,
            request=request,
            path=f"/v1{exchange.path.removeprefix('/v1')}",
            endpoint=endpoint,
            engines=self._engines,
            pool=self._pool,
            clock=self._clock,
            started_at=started_at,
        )
        try:
            await _run_while_there(job)
        except (ClientGone, Interrupted):
            raise
        except BaseException:
            job.failed = True
            raise
        finally:
            self._keep_books(caller, job)

    def _keep_books(self, caller: access.Caller, job: Job) -> None:
        usage, service = job.usage, job.endpoint.service
        job.endpoint.ended += 1
        self._key_limit.charge(caller, usage.prompt_tokens + usage.completion_tokens)
        outcome = Outcome.ENGINE_ERROR if job.failed else Outcome.OK
        self._record(
            RequestRecord(
                id=job.request_id.decode(),
                at=time.time(),
                key_id=caller.key_id or "",
                key_name=caller.name,
                user_id=caller.owner_id or "",
                user_name="",
                service_id=service.id,
                access_name=service.access_name,
                model=service.base_model,
                endpoint=job.path.removeprefix("/v1/"),
                stream=job.request.stream,
                outcome=outcome,
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
            )
        )


async def _run_while_there(job: Job) -> None:
    """Answer the request, for as long as its client waits for that."""
    with Interrupt() as client_left:
        watch = asyncio.create_task(job.exchange.wait_gone())
        watch.add_done_callback(lambda _: client_left.fire())
        try:
            await run(job)
        finally:
            watch.cancel()


def _allowed_method(path: str) -> str | None:
    """The method that a path (after ``/v1``) takes; None when nothing is there."""
    if path in INFERENCE:
        return "POST"
    return "GET" if path == MODELS or path.startswith(f"{MODELS}/") else None


async def _refuse_method(exchange: Exchange, request_id: bytes, allowed: str) -> None:
    error = MethodNotAllowed(
        f"{exchange.path} does not take {exchange.method}", hint=f"it takes {allowed}"
    )
    await send_error(exchange, request_id, error, (b"allow", allowed.encode()))


async def _send_json(exchange: Exchange, request_id: bytes, value: object) -> None:
    await send_whole(exchange, request_id, msgspec.json.encode(value))


def _check_length(content_length: str | None, limit_bytes: int) -> None:
    if content_length is not None and int(content_length) > limit_bytes:
        raise PayloadTooLarge(
            f"the body has {int(content_length):,} bytes; the limit is {limit_bytes:,}",
            hint="the setting body_limit_bytes raises it",
        )


def _model(endpoint: Endpoint) -> dict[str, str | int]:
    """A service as OpenAI lists a model."""
    return {
        "id": endpoint.access_name,
        "object": "model",
        "created": int(endpoint.service.created_at),
        "owned_by": endpoint.service.owner_id,
    }
