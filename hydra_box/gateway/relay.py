"""One exchange from its first to its last byte: authenticate, admit, route, relay, meter.

No database, no decoding of what an engine streams, and no wait but for a slot, the engine and the
client. The slot is given back and the engine's connection closed in every case, by calls that
cannot be interrupted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from hydra_box.config import Settings
from hydra_box.engines.base import Dialect
from hydra_box.engines.counts import Usage
from hydra_box.errors import (
    HydraError,
    MethodNotAllowed,
    NotFound,
)
from hydra_box.gateway import access
from hydra_box.gateway.admission import Admission
from hydra_box.gateway.answers import send_error, send_whole
from hydra_box.gateway.attempt import break_off, run
from hydra_box.gateway.bodies import HeldBody
from hydra_box.gateway.endpoint import Endpoint, stopping
from hydra_box.gateway.exchange import ClientGone, Exchange
from hydra_box.gateway.finished import (
    Record,
    forget,
    outcome_of,
    record_of,
    record_of_refused,
)
from hydra_box.gateway.interrupt import Interrupt, Interrupted
from hydra_box.gateway.job import Job, ask_of
from hydra_box.gateway.pool import Pool
from hydra_box.gateway.preference import wait_seconds
from hydra_box.gateway.reading import Reader
from hydra_box.gateway.request import LONGEST_MODEL_CHARACTERS, InferenceRequest
from hydra_box.gateway.shut import ShutKeys
from hydra_box.keys import KeyRing
from hydra_box.plan.reservation import expected_tokens, most_tokens
from hydra_box.types import EngineName, Outcome, ServiceStatus, User

INFERENCE = ("/chat/completions", "/completions", "/embeddings")
MODELS = "/models"
"""Paths of the endpoint, after ``/v1`` or after nothing."""


class Relay:
    """Answers every exchange of the OpenAI-compatible endpoint."""

    def __init__(
        self,
        pool: Pool,
        keys: KeyRing,
        dialects: Mapping[EngineName, Dialect],
        settings: Settings,
        *,
        local_user: User,
        admission: Admission,
        record: Record = forget,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._dialects = dialects
        self._local = access.local_caller(local_user)
        self._admission = admission
        self._record = record
        self._clock = clock
        self._shut_keys = ShutKeys(keys)
        self._reader = Reader(settings)
        self._accepting = True
        self.refused: Counter[str] = Counter()
        """Requests that were refused before their service was known, by the error's code."""

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
            self.refused[error.code] += 1
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
            await self._infer(exchange, request_id, caller, started_at)
        elif path == MODELS:
            data = [_model(one) for one in self._callable(caller)]
            await _send_json(exchange, request_id, {"object": "list", "data": data})
        else:
            endpoint = self._find(caller, path.removeprefix(f"{MODELS}/"))
            await _send_json(exchange, request_id, _model(endpoint))

    def _authenticate(self, exchange: Exchange) -> access.Caller:
        if exchange.trusted:
            return self._local
        key = self._keys.authenticate(exchange.header(b"authorization"))
        caller = access.caller_of(key, self._keys.owner_of(key))
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
        if endpoint is not None and endpoint.status is not ServiceStatus.DELETING:
            if access.may_call(caller, endpoint.service):
                return endpoint
            if caller.everything:
                raise access.refusal(caller, endpoint.service)
        names = [one.access_name for one in self._callable(caller)]
        raise access.unknown_model(caller, model[:LONGEST_MODEL_CHARACTERS], names)

    async def _infer(
        self,
        exchange: Exchange,
        request_id: bytes,
        caller: access.Caller,
        started_at: float,
    ) -> None:
        job: Job | None = None
        try:
            with (
                self._shut_keys.guard(caller.key_id),
                self._admission.door(caller),
                HeldBody(self._reader.bodies) as held,
            ):
                # Nothing but the job has the request, which forgets its body in time.
                job = self._job(
                    exchange,
                    request_id,
                    await self._reader.read(exchange, held),
                    held,
                    caller,
                    started_at,
                )
                await self._let_in(job)
        except HydraError as error:
            if job is None:
                if isinstance(error, ClientGone | Interrupted):
                    raise
                self.refused[error.code] += 1
                took = self._clock() - started_at
                path = exchange.path
                self._record(record_of_refused(caller, request_id, path, time.time(), took))
                await send_error(exchange, request_id, error, *self._admission.headers(caller))
            else:
                await _end_badly(job, error)
        finally:
            if job is not None:
                job.finish(Outcome.ENGINE_ERROR)

    def _job(
        self,
        exchange: Exchange,
        request_id: bytes,
        request: InferenceRequest,
        held: HeldBody,
        caller: access.Caller,
        started_at: float,
    ) -> Job:
        endpoint = self._find(caller, request.model)
        endpoint.requests += 1
        path = f"/v1{exchange.path.removeprefix('/v1')}"
        thought_bytes = request.thought_bytes
        ask = ask_of(request, thought_bytes, path)
        return Job(
            exchange=exchange,
            request_id=request_id,
            request=request,
            held=held,
            caller=caller,
            path=path,
            endpoint=endpoint,
            dialects=self._dialects,
            pool=self._pool,
            clock=self._clock,
            started_at=started_at,
            thought_bytes=thought_bytes,
            most_tokens=most_tokens(ask, endpoint.service.context_length),
            expected_tokens=expected_tokens(ask, endpoint.service.context_length),
            wait_seconds=wait_seconds(exchange.header(b"prefer")),
            on_finish=self._keep_books,
        )

    async def _let_in(self, job: Job) -> None:
        try:
            job.ticket = self._admission.admit(
                job.caller, public=job.endpoint.service.public, reservation=job.most_tokens
            )
        finally:
            job.headers = self._admission.headers(job.caller)
        await _run_while_there(job)

    def _keep_books(self, job: Job, outcome: Outcome, usage: Usage) -> None:
        if job.ticket is not None:
            self._admission.settle(job.ticket, usage.tokens)
            # The answer that follows says what is left now, without what it had only reserved.
            job.headers = self._admission.headers(job.caller)
        self._record(record_of(job, outcome, usage, time.time()))


async def _end_badly(job: Job, error: HydraError) -> None:
    """Tell the client why there is no answer, or no more of it; the books have it by then."""
    job.finish(outcome_of(error, job))
    if isinstance(error, ClientGone | Interrupted):
        return
    if job.begun:
        await break_off(job, error)
    else:
        await send_error(job.exchange, job.request_id, error, *job.headers)


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
        f"{exchange.path[:LONGEST_MODEL_CHARACTERS]} does not take {exchange.method}",
        hint=f"it takes {allowed}",
    )
    await send_error(exchange, request_id, error, (b"allow", allowed.encode()))


async def _send_json(exchange: Exchange, request_id: bytes, value: object) -> None:
    await send_whole(exchange, request_id, msgspec.json.encode(value))


def _model(endpoint: Endpoint) -> dict[str, str | int]:
    """A service as OpenAI lists a model, with its context where that is known."""
    shown: dict[str, str | int] = {
        "id": endpoint.access_name,
        "object": "model",
        "created": int(endpoint.service.created_at),
        "owned_by": endpoint.service.owner_id,
    }
    if (context_length := endpoint.context_length) is not None:
        shown["context_length"] = context_length
    return shown
