"""What the pool holds of a service and its instances, and what it says of one that cannot serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hydra_box.engines.counts import Usage
from hydra_box.errors import HydraError, ModelNotFound, Unavailable
from hydra_box.gateway.channel import Channel
from hydra_box.gateway.queue import Queue
from hydra_box.gateway.rate import Pace, TokenRate
from hydra_box.messages import ServiceStats
from hydra_box.plan.routing import Candidate
from hydra_box.plan.words import counted, time_left
from hydra_box.types import EngineName, Service, ServiceStatus

RETRY_AFTER_SECONDS = 5


@dataclass(eq=False, slots=True)
class PooledInstance:
    """One start of an instance: the same id after a restart is another ``PooledInstance``."""

    id: str
    endpoint: Endpoint
    channel: Channel
    slots: int
    engine: EngineName
    weight: float = 1.0
    """Of an upstream: its share beside the service's others."""
    draining: bool = False
    resting: bool = False
    """It takes no new request until it is healthy again."""
    served: float = 0.0
    """Requests that it was given, or would have been had it been there from the beginning."""
    heard: int = 0
    """Parts of answers that came from it: how those who watch it know that it lives."""
    leases: set[Lease] = field(default_factory=set)
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def takes_requests(self) -> bool:
        """Whether it may be given another one, if it has a free slot."""
        return not (self.draining or self.resting)

    @property
    def asked(self) -> int:
        """Requests that wait for the engine now."""
        return sum(not one.at_client for one in self.leases)


@dataclass(eq=False, slots=True)
class Lease:
    """A slot of an instance, lent to one request; given back by ``Pool.release``."""

    instance: PooledInstance
    on_lost: Callable[[], None] | None = None
    """Called when the instance is gone and the lease is still out."""
    at_client: bool = False
    """A part of its answer is being sent: it waits for its client, and not for the engine."""
    charged: float = 0.0
    """Tokens that its flow was charged in the queue; settled when the request has ended."""


@dataclass(eq=False, slots=True)
class Endpoint:
    """A service as the gateway knows it; its counters live as long as the daemon."""

    service: Service
    status: ServiceStatus
    reason: str | None
    instances: dict[str, PooledInstance] = field(default_factory=dict)
    queue: Queue = field(default_factory=Queue)
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    last_ttft_seconds: float | None = None
    ended: int = 0
    """Requests that are over, whoever ended them."""
    ttft_seconds: float = 0.0
    """Of all streams together."""
    ttft_count: int = 0
    rate: TokenRate = field(default_factory=TokenRate)
    pace: Pace = field(default_factory=Pace)
    asleep: bool = False
    """The next request wakes it."""
    waking_since: float | None = None
    """When it was woken, until something of it is ready; monotonic seconds."""
    start_seconds: float | None = None
    """How long its last start took."""
    active_at: float = 0.0
    """When its last request ended or an instance came; monotonic seconds."""

    @property
    def access_name(self) -> str:
        """What a client puts in ``model``."""
        return self.service.access_name

    @property
    def context_length(self) -> int | None:
        """Tokens that a request may have: the service's own; else what every upstream takes."""
        told = (one.channel.context_length for one in self.instances.values())
        return self.service.context_length or min((one for one in told if one), default=None)

    @property
    def busy(self) -> bool:
        """Whether a request is in flight or waits."""
        return len(self.queue) > 0 or any(one.leases for one in self.instances.values())

    def candidates(self) -> Iterator[Candidate]:
        """The instances that take requests, as routing sees them."""
        return (
            Candidate(
                instance_id=one.id,
                slots=one.slots,
                in_flight=len(one.leases),
                is_upstream=one.engine is EngineName.UPSTREAM,
                weight=one.weight,
                served=one.served,
            )
            for one in self.instances.values()
            if one.takes_requests
        )

    @property
    def slots(self) -> int:
        """Room for requests, over all ready instances."""
        return sum(one.slots for one in self.instances.values() if one.takes_requests)

    def count(self, usage: Usage, streamed: int = 0) -> None:
        """Add an answer's tokens, of which ``streamed`` were added to the rate as they came."""
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.rate.tokens += usage.completion_tokens - streamed

    def stats(self) -> ServiceStats:
        """What was counted since the daemon started, and what is under way."""
        return ServiceStats(
            requests=self.requests,
            requests_in_flight=sum(len(one.leases) for one in self.instances.values()),
            requests_queued=len(self.queue),
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            last_ttft_seconds=self.last_ttft_seconds,
            tokens_per_second=self.rate.per_second(),
        )

    def count_first_token(self, seconds: float) -> None:
        """A stream has begun, so long after its request came."""
        self.last_ttft_seconds = seconds
        self.ttft_seconds += seconds
        self.ttft_count += 1

    def refusal(self) -> HydraError | None:
        """Why it takes no request whatever its instances do; None when it may."""
        name, access_name = self.service.name, self.access_name
        because = f": {self.reason}" if self.reason else ""
        match self.status:
            case ServiceStatus.DELETING:
                return ModelNotFound(
                    f"the service {access_name!r} is being deleted",
                    hint="GET /v1/models tells what there is",
                    param="model",
                )
            case ServiceStatus.STOPPED:
                return Unavailable(
                    f"the service {access_name!r} is stopped{because}",
                    hint=f"hydra-box start {name}",
                )
            case ServiceStatus.FAILED if self.service.engine is EngineName.UPSTREAM:
                fact, _, hint = because.partition("; hint: ")
                return Unavailable(
                    f"the service {access_name!r} has failed{fact}",
                    hint=hint or f"hydra-box upstreams list {name} shows them all",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            case ServiceStatus.FAILED:
                return Unavailable(
                    f"the service {access_name!r} has failed{because}",
                    hint=f"see hydra-box logs {name}, then hydra-box start {name}",
                )
        return None

    def not_ready(
        self, progress: str | None = None, again_seconds: int | None = None
    ) -> Unavailable:
        """The answer while no instance is ready, which may be known to be so in some seconds."""
        soon = f"ready in about {time_left(again_seconds)}" if again_seconds else None
        doing = self.reason or ", ".join(one for one in (progress, soon) if one)
        because = f": {doing}" if doing else ""
        again = again_seconds or RETRY_AFTER_SECONDS
        return Unavailable(
            f"the service {self.access_name!r} is {self.status} and has no instance ready{because}",
            hint=f"try again in {again} s, or have it wait: the header Prefer: wait=60",
            retry_after_seconds=again,
        )

    def full(self, waited_seconds: float | None = None) -> Unavailable:
        """The answer when the queue is full, or when the wait in it was too long."""
        waiting = len(self.queue)
        fact = (
            f"{'the one slot' if self.slots == 1 else f'all {self.slots} slots'} of "
            f"{self.access_name!r} {'is' if self.slots == 1 else 'are'} busy and "
            f"{counted(waiting, 'request')} {'waits' if waiting == 1 else 'wait'}"
        )
        if waited_seconds is not None:
            fact = f"no slot of {self.access_name!r} became free in {waited_seconds:g} s; {fact}"
        more = (
            f"hydra-box upstreams list {self.service.name} shows what takes how many"
            if self.service.engine is EngineName.UPSTREAM
            else f"hydra-box scale {self.service.name} --add 1"
        )
        return Unavailable(
            fact,
            hint=f"try again later, or {more}",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


def stopping() -> Unavailable:
    """The answer while the daemon stops."""
    return Unavailable(
        "the daemon is stopping",
        hint=f"try again in {RETRY_AFTER_SECONDS} s: it may be coming back",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
