"""Getting one request answered by an instance, and by another one when that fails.

1. Borrow a slot, waiting for one if all are busy.
2. Send the request on. Until the client has got a first byte, a broken connection (or a 503, which
   an engine says that is not ready) means the same again at another instance.
3. An answer that is not a stream is read to its end before the client gets any of it.
4. A stream is passed on as it comes. If it breaks, an error event is its last one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from hydra_box.engines.base import Dialect
from hydra_box.errors import EngineError, HydraError
from hydra_box.gateway.answers import head, send_whole
from hydra_box.gateway.channel import Answer, InstanceLost
from hydra_box.gateway.endpoint import Endpoint, Lease, PooledInstance
from hydra_box.gateway.exchange import Exchange
from hydra_box.gateway.interrupt import Interrupt, Interrupted
from hydra_box.gateway.pool import Pool
from hydra_box.gateway.request import InferenceRequest
from hydra_box.gateway.stream import StreamFilter, Usage, error_frame, read_usage
from hydra_box.types import EngineName

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
"""A request that kills instances must not kill all of them."""

ANSWER_LIMIT_BYTES = 64 * 1024 * 1024
ERROR_LIMIT_BYTES = 1024 * 1024

EVENT_STREAM = "text/event-stream"
_STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


@dataclass(slots=True, kw_only=True)
class Job:
    """One request on its way to an answer."""

    exchange: Exchange
    request_id: bytes
    request: InferenceRequest
    path: str
    endpoint: Endpoint
    engines: Mapping[EngineName, Dialect]
    pool: Pool
    clock: Callable[[], float]
    started_at: float
    stream: StreamFilter | None = None
    """Set once the client has got the answer's head."""
    usage: Usage = field(default_factory=Usage)
    """Of the answer, as its engine counted it, or as it was seen here if that was not told."""
    failed: bool = False
    """The answer broke off; other errors are raised."""

    def dialect(self, lease: Lease) -> Dialect:
        """What to make of the words of whoever answers."""
        return self.engines[lease.instance.engine]

    def count(self, usage: Usage | None, streamed: int = 0) -> None:
        """Take note of an answer's tokens, ``streamed`` of which were in the rate already."""
        self.endpoint.count(usage, streamed)
        # Who leaves before the end has had the events so far, and each of them is about a token.
        self.usage = usage or Usage(completion_tokens=streamed)


class _EngineStatus(msgspec.Struct):
    code: int


class _EngineErrorEvent(msgspec.Struct):
    error: _EngineStatus


async def run(job: Job) -> None:
    """Answer the request.

    Raises:
        HydraError: nothing was sent yet, and no instance answers this request.
    """
    failed: set[PooledInstance] = set()
    for _ in range(MOST_ATTEMPTS):
        lease = await job.pool.acquire(job.endpoint, failed)
        try:
            await _attempt(job, lease)
            return
        except HydraError as error:
            if job.stream is not None:
                job.pool.release(lease)
                await _break_off(job, job.stream, error)
                return
            if not isinstance(error, InstanceLost):
                raise
            log.warning("%s: %s", lease.instance.id, error.message)
            failed.add(lease.instance)
        finally:
            job.pool.release(lease)
    raise EngineError(
        f"{MOST_ATTEMPTS} instances of {job.endpoint.access_name!r} in turn failed at this request",
        hint=f"hydra-box logs {job.endpoint.service.name} shows why",
    )


async def _attempt(job: Job, lease: Lease) -> None:
    try:
        with Interrupt() as instance_gone:
            lease.on_lost = instance_gone.fire
            answer = await lease.instance.channel.post(job.path, job.request.body)
            try:
                await _pass_on(job, lease, answer)
            finally:
                answer.close()
    except Interrupted as error:
        raise InstanceLost("the instance is gone") from error


async def _pass_on(job: Job, lease: Lease, answer: Answer) -> None:
    if answer.status >= 400:
        body = await answer.read_all(ERROR_LIMIT_BYTES)
        if answer.status == 503:
            raise InstanceLost("the engine is not ready (its status was 503)")
        raise job.dialect(lease).translate_error(answer.status, body, answer.headers)
    if job.request.stream and answer.content_type.startswith(EVENT_STREAM):
        await _pass_on_stream(job, lease, answer)
        return
    body = await answer.read_all(ANSWER_LIMIT_BYTES)
    job.count(read_usage(body))
    # The slot is free now, however slowly the client reads.
    job.pool.release(lease)
    await send_whole(
        job.exchange,
        job.request_id,
        body,
        status=answer.status,
        content_type=answer.content_type.encode("latin-1"),
    )


async def _pass_on_stream(job: Job, lease: Lease, answer: Answer) -> None:
    stream = StreamFilter(withhold_usage=not job.request.wants_usage)
    send, read, feed = job.exchange.send, answer.read, stream.feed
    rate, streamed = job.endpoint.rate, 0
    try:
        while chunk := await read():
            # An event is a line and an empty one: searching for pairs would take twice as long.
            events = chunk.count(b"\n") // 2
            streamed += events
            rate.tokens += events
            data = feed(chunk)
            if data:
                if job.stream is None:
                    await _begin(job, stream, answer)
                await send(data, more=True)
            if stream.error is not None:
                raise _translate_event(job.dialect(lease), stream.error)
    finally:
        job.count(stream.usage(), streamed)
    rest = stream.finish()
    if job.stream is None and not rest:
        raise InstanceLost("the engine's stream was empty")
    job.pool.release(lease)
    if job.stream is None:
        await _begin(job, stream, answer)
    await send(rest, more=False)


async def _begin(job: Job, stream: StreamFilter, answer: Answer) -> None:
    job.stream = stream
    job.endpoint.count_first_token(job.clock() - job.started_at)
    content_type = answer.content_type.encode("latin-1")
    await job.exchange.start(answer.status, head(job.request_id, content_type, *_STREAM_HEADERS))


async def _break_off(job: Job, stream: StreamFilter, error: HydraError) -> None:
    """End a stream that failed, so that the client knows that it did."""
    job.failed = True
    if isinstance(error, InstanceLost):
        error = EngineError(
            "the instance was lost after the answer had begun", hint="send the request again"
        )
    log.warning("%s: %s", job.endpoint.access_name, error.message)
    end = b"\n\n" if stream.mid_frame else b""
    await job.exchange.send(end + error_frame(error.body()), more=False)


def _translate_event(dialect: Dialect, error: bytes) -> HydraError:
    try:
        status = msgspec.json.decode(error, type=_EngineErrorEvent).error.code
    except msgspec.DecodeError:
        status = 500
    return dialect.translate_error(status if 400 <= status <= 599 else 500, error, {})
