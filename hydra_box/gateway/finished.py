"""What is told of a request of the endpoint once it is over, for whoever keeps the books."""

from __future__ import annotations

from collections.abc import Callable

from hydra_box.engines.counts import Usage
from hydra_box.errors import EngineError, HydraError, Unauthenticated
from hydra_box.gateway.access import Caller
from hydra_box.gateway.exchange import ClientGone
from hydra_box.gateway.interrupt import Interrupted
from hydra_box.gateway.job import Job
from hydra_box.plan.usage import NO_SERVICE, cost_nanos
from hydra_box.types import Outcome, RequestRecord

Record = Callable[[RequestRecord], None]
"""Takes note, and neither waits for anything but a write into memory or a file, nor fails."""


def forget(record: RequestRecord) -> None:
    """Keep no books."""


def outcome_of(error: HydraError, job: Job) -> Outcome:
    """How a request ended that was not answered to its end.

    1. Its client left: client gone.
    2. Its key was shut while an engine worked on it: client gone, too, for the engine did nothing
       wrong, and what it had made is charged.
    3. An engine failed: engine error.
    4. Else it was not let in, or the engine did not take it: refused.
    """
    if isinstance(error, ClientGone | Interrupted):
        return Outcome.CLIENT_GONE
    if isinstance(error, Unauthenticated) and job.sent_at is not None:
        return Outcome.CLIENT_GONE
    return Outcome.ENGINE_ERROR if isinstance(error, EngineError) else Outcome.REFUSED


def record_of(job: Job, outcome: Outcome, usage: Usage, at: float) -> RequestRecord:
    """The row of the books for a request that has just ended.

    Args:
        job: the request.
        outcome: how it ended.
        usage: what it took.
        at: seconds since the epoch.

    """
    service, caller, ended_at = job.endpoint.service, job.caller, job.clock()
    ttft = None if job.first_at is None else job.first_at - job.started_at
    tpot = None
    if job.first_at is not None and usage.completion_tokens > 1:
        tpot = (ended_at - job.first_at) / (usage.completion_tokens - 1)
    return RequestRecord(
        id=job.request_id.decode(),
        at=at,
        key_id=caller.key_id or "",
        key_name=caller.name if caller.key_id else "",
        user_id=caller.owner_id,
        user_name=caller.owner_name,
        service_id=service.id,
        access_name=service.access_name,
        instance_id=job.instance_id,
        model=service.base_model,
        endpoint=job.path.removeprefix("/v1/"),
        stream=job.request.stream,
        outcome=outcome,
        estimated=job.estimated,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        ttft_seconds=ttft,
        tpot_seconds=tpot,
        duration_seconds=ended_at - job.started_at,
        cost_nanos=cost_nanos(service.price, usage.prompt_tokens, usage.completion_tokens),
    )


def record_of_refused(
    caller: Caller, request_id: bytes, path: str, at: float, duration_seconds: float
) -> RequestRecord:
    """The row of a request that was refused before it was known which service it calls.

    Nothing in it is the client's own word: a model that is not there may have any name.

    Args:
        caller: who sent it.
        request_id: the request.
        path: where it was sent, with or without ``/v1``.
        at: seconds since the epoch.
        duration_seconds: until it was refused.

    """
    return RequestRecord(
        id=request_id.decode(),
        at=at,
        key_id=caller.key_id or "",
        key_name=caller.name if caller.key_id else "",
        user_id=caller.owner_id,
        user_name=caller.owner_name,
        service_id="",
        access_name=NO_SERVICE,
        model="",
        endpoint=path.removeprefix("/v1").removeprefix("/"),
        outcome=Outcome.REFUSED,
        duration_seconds=duration_seconds,
    )
