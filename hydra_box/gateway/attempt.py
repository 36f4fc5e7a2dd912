"""Getting one request answered by an instance, and by another one when that fails.

1. Borrow a slot, waiting for one if all are busy.
2. Send the request on. Until the client has got a first byte, a broken connection (or a 503, which
   an engine says that is not ready) means the same again at another instance.
3. An answer that is not a stream is read to its end before the client gets any of it.
4. A stream is passed on as it comes. If it breaks, an error event is its last one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import msgspec

from hydra_box.engines.base import Dialect
from hydra_box.errors import EngineError, HydraError
from hydra_box.gateway.answers import head, send_whole
from hydra_box.gateway.channel import Answer, InstanceLost
from hydra_box.gateway.endpoint import Lease, PooledInstance
from hydra_box.gateway.interrupt import Interrupt, Interrupted
from hydra_box.gateway.job import Job
from hydra_box.gateway.request import body_for
from hydra_box.gateway.stream import error_frame
from hydra_box.types import Outcome

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
"""A request that kills instances must not kill all of them."""

ANSWER_LIMIT_BYTES = 64 * 1024 * 1024
ERROR_LIMIT_BYTES = 1024 * 1024

LAST_WORDS_SECONDS = 1.0
"""What an engine had sent before it knew that its client left may be read for so long."""

EVENT_STREAM = "text/event-stream"
_STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class _EngineStatus(msgspec.Struct):
    code: int


class _EngineErrorEvent(msgspec.Struct):
    error: _EngineStatus


async def run(job: Job) -> None:
    """Answer the request.

    Raises:
        HydraError: no instance answers this request, or not to the end; where ``job.begun``, the
            client has a part of it, and ``break_off`` is left to do.
    """
    failed: set[PooledInstance] = set()
    for _ in range(MOST_ATTEMPTS):
        lease = await job.acquire(failed)
        try:
            await _attempt(job, lease)
            return
        except InstanceLost as error:
            if job.begun:
                raise
            job.stream = None
            log.warning("%s: %s", lease.instance.id, error.message)
            failed.add(lease.instance)
        finally:
            job.pool.release(lease)
    raise EngineError(
        f"{MOST_ATTEMPTS} instances of {job.endpoint.access_name!r} in turn failed at this request",
        hint=f"hydra-box logs {job.endpoint.service.name} shows why",
    )


async def break_off(job: Job, error: HydraError) -> None:
    """End a stream that has begun, so that the client knows that it is not whole."""
    if job.outcome is Outcome.OK:
        # All that matters of it was sent.
        await job.exchange.send(b"", more=False)
        return
    if isinstance(error, InstanceLost):
        error = EngineError(
            "the instance was lost after the answer had begun", hint="send the request again"
        )
    log.warning("%s: %s", job.endpoint.access_name, error.message)
    end = b"\n\n" if job.stream is not None and job.stream.mid_frame else b""
    await job.exchange.send(end + error_frame(error.body()), more=False)


async def _attempt(job: Job, lease: Lease) -> None:
    job.send_to(lease)
    try:
        with Interrupt() as instance_gone:
            lease.on_lost = instance_gone.fire
            # No name is given to the body: it would hold it for as long as the answer comes.
            answer = await lease.instance.channel.post(
                job.path, body_for(job.request, job.dialect(lease).counts)
            )
            try:
                await _pass_on(job, lease, answer)
            finally:
                answer.close()
    except Interrupted as error:
        raise InstanceLost("the instance is gone") from error


async def _pass_on(job: Job, lease: Lease, answer: Answer) -> None:
    lease.instance.heard += 1
    if answer.status >= 400:
        body = await answer.read_all(ERROR_LIMIT_BYTES)
        if answer.status == 503:
            raise InstanceLost("the engine is not ready (its status was 503)")
        raise job.dialect(lease).translate_error(answer.status, body, answer.headers)
    if job.request.stream and answer.content_type.startswith(EVENT_STREAM):
        try:
            await _pass_on_stream(job, lease, answer)
        except asyncio.CancelledError:
            # Its client left, or its key was shut: the slot is not free before the engine knows.
            await _hear_out(job, answer)
            raise
        return
    body = await answer.read_all(ANSWER_LIMIT_BYTES)
    job.take_whole(lease, body)
    # The slot is free now, however slowly the client reads; and the books have the request before
    # its client can know that it is over.
    job.pool.release(lease)
    job.finish(Outcome.OK)
    await send_whole(
        job.exchange,
        job.request_id,
        body,
        *job.headers,
        status=answer.status,
        content_type=answer.content_type.encode("latin-1"),
    )


async def _pass_on_stream(job: Job, lease: Lease, answer: Answer) -> None:
    stream = job.read(lease)
    send, read, feed = job.exchange.send, answer.read, stream.feed
    rate, instance = job.endpoint.rate, lease.instance
    while chunk := await read():
        instance.heard += 1
        data = feed(chunk)
        if data:
            # An event is a line and an empty one: searching for pairs would take twice as long.
            events = data.count(b"\n") // 2
            job.events += events
            job.streamed += events
            rate.tokens += events
            lease.at_client = True
            if not job.begun:
                await _begin(job, answer)
            if stream.over:
                # Before the client can have the last event.
                job.finish(Outcome.OK)
            await send(data, more=True)
            lease.at_client = False
        if stream.error is not None:
            raise _translate_event(job.dialect(lease), stream.error)
    rest = stream.finish()
    if not job.begun and not rest:
        raise InstanceLost("the engine's stream was empty")
    job.pool.release(lease)
    if not job.begun:
        await _begin(job, answer)
    job.finish(Outcome.OK)
    await send(rest, more=False)


async def _hear_out(job: Job, answer: Answer) -> None:
    """Have the engine end its work, and read how much that was."""
    stream = job.stream
    if stream is None or job.outcome is not None:
        return
    answer.end_work()
    with contextlib.suppress(TimeoutError, InstanceLost):
        async with asyncio.timeout(LAST_WORDS_SECONDS):
            while stream.error is None and (chunk := await answer.read()):
                stream.feed(chunk)


async def _begin(job: Job, answer: Answer) -> None:
    job.begun = True
    job.forget_body()
    job.first_at = job.clock()
    job.endpoint.count_first_token(job.first_at - job.started_at)
    content_type = answer.content_type.encode("latin-1")
    headers = head(job.request_id, content_type, *_STREAM_HEADERS, *job.headers)
    await job.exchange.start(answer.status, headers)


def _translate_event(dialect: Dialect, error: bytes) -> HydraError:
    try:
        status = msgspec.json.decode(error, type=_EngineErrorEvent).error.code
    except msgspec.DecodeError:
        status = 500
    return dialect.translate_error(status if 400 <= status <= 599 else 500, error, {})
