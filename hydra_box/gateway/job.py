"""One request on its way to an answer, and what it has taken when it ends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import msgspec

from hydra_box.engines.base import Dialect
from hydra_box.engines.counts import Usage
from hydra_box.gateway.access import Caller
from hydra_box.gateway.admission import Ticket
from hydra_box.gateway.bodies import HeldBody
from hydra_box.gateway.endpoint import Endpoint, Lease, PooledInstance
from hydra_box.gateway.event_counts import EventCounts, usage_of_whole
from hydra_box.gateway.exchange import Exchange, Headers
from hydra_box.gateway.pool import Pool
from hydra_box.gateway.request import InferenceRequest
from hydra_box.gateway.stream import StreamFilter
from hydra_box.plan.reservation import BYTES_PER_TOKEN, Ask
from hydra_box.types import EngineName, Outcome

EMBEDDINGS = "/v1/embeddings"


@dataclass(slots=True, kw_only=True)
class Job:
    """One request whose service is known."""

    exchange: Exchange
    request_id: bytes
    request: InferenceRequest
    held: HeldBody
    """Its body, as long as it has it."""
    caller: Caller
    path: str
    endpoint: Endpoint
    dialects: Mapping[EngineName, Dialect]
    pool: Pool
    clock: Callable[[], float]
    started_at: float
    thought_bytes: int
    """How long a text would be that becomes about as many tokens as its body."""
    most_tokens: int
    """Reserved for it."""
    expected_tokens: int
    wait_seconds: float | None
    """How long its client prefers to wait; None: it does not say."""
    on_finish: Callable[[Job, Outcome, Usage], None]
    """Called once, when it is known what it took."""

    ticket: Ticket | None = None
    """Set once it is admitted."""
    headers: Headers = ()
    """Of whatever its answer is."""
    instance_id: str = ""
    """Who was asked last."""
    sent_at: float | None = None
    """When it was first sent to an engine; None: it was not."""
    first_at: float | None = None
    """When the client got the first byte of a stream."""
    begun: bool = False
    """The client has the head of a stream."""
    stream: StreamFilter | None = None
    """Of the last attempt."""
    events: int = 0
    """Of the last attempt's stream."""
    counted: Usage | None = None
    """Of an answer that is whole."""
    estimated: bool = False
    streamed: int = 0
    """Events of all attempts, which are in the endpoint's rate."""
    charged: float = 0.0
    """Tokens that its flow was charged for its turns in the queue."""
    outcome: Outcome | None = None
    """Set once it is in the books; whatever happens then changes nothing there."""

    @property
    def flow(self) -> str:
        """Whose request it is, for the queue."""
        return self.caller.key_id or ""

    def dialect(self, lease: Lease) -> Dialect:
        """What to make of the words of whoever answers."""
        return self.dialects[lease.instance.engine]

    async def acquire(self, failed: Collection[PooledInstance]) -> Lease:
        """Borrow a slot for the next attempt; raises as ``Pool.acquire`` does."""
        lease = await self.pool.acquire(
            self.endpoint,
            failed,
            flow=self.flow,
            cost=self.expected_tokens,
            wait_seconds=self.wait_seconds,
        )
        self.charged += lease.charged
        return lease

    def send_to(self, lease: Lease) -> None:
        """An attempt begins; what came of the one before does not count."""
        self.instance_id = lease.instance.id
        self.stream, self.events = None, 0
        if self.sent_at is None:
            self.sent_at = self.clock()

    def read(self, lease: Lease) -> StreamFilter:
        """An attempt is answered by a stream."""
        counts = self.dialect(lease).counts
        self.stream = StreamFilter(
            withhold_usage=not self.request.wants_usage,
            counts=counts,
            withhold_counts=counts is None or not self.request.wants(counts),
            withhold_progress=not self.request.asks_progress,
            noted=EventCounts(
                counts,
                choices=self.request.choices,
                choices_per_prompt=self.request.choices_per_prompt,
            ),
        )
        return self.stream

    def take_whole(self, lease: Lease, body: bytes) -> None:
        """An answer that is no stream is here."""
        self.counted, self.estimated = usage_of_whole(
            body,
            self.dialect(lease).counts,
            choices=self.request.choices,
            other_prompts_tokens=self.request.other_prompts_tokens,
        )
        if self.counted is None:
            self.counted, self.estimated = self._estimate(len(body) // BYTES_PER_TOKEN), True

    def finish(self, outcome: Outcome) -> None:
        """It is over, or all but the last byte of its answer is sent; safe to repeat."""
        if self.outcome is not None:
            return
        self.outcome = outcome
        usage = self._taken(outcome)
        self.endpoint.ended += 1
        self.endpoint.count(usage, self.streamed)
        self.endpoint.queue.settle(self.flow, self.charged, usage.tokens)
        if outcome is Outcome.OK and not self.estimated:
            begun_at = self.sent_at if self.first_at is None else self.first_at
            self.endpoint.pace.add(usage.completion_tokens, self.clock() - (begun_at or 0.0))
        self.forget_body()
        self.on_finish(self, outcome, usage)

    def forget_body(self) -> None:
        """Nobody else will be asked with it; safe to repeat."""
        if self.held.counted_bytes:
            self.request = msgspec.structs.replace(self.request, body=b"")
            self.held.let_go()

    def _taken(self, outcome: Outcome) -> Usage:
        """What it took.

        1. A whole answer: what it says, or else by its length.
        2. A stream, to its end or not: what its engine counted, of the prompt alone before the
           first token, or else by its events.
        3. Its client left while an engine worked on it: by the time that it worked.
        4. Else nothing.
        """
        if self.counted is not None:
            return self.counted
        if self.stream is not None and (self.events or outcome is Outcome.CLIENT_GONE):
            counted = self.stream.usage()
            self.estimated = counted is None
            return counted or self._estimate(self.events)
        if outcome is Outcome.CLIENT_GONE and self.sent_at is not None:
            self.estimated = True
            elapsed = 0.0 if self.request.stream else self.clock() - self.sent_at
            return self._estimate(self.endpoint.pace.tokens_in(elapsed))
        return Usage()

    def _estimate(self, completion_tokens: int) -> Usage:
        """About so much, and never more than was reserved."""
        most = self.request.max_tokens
        if most is not None:
            completion_tokens = min(completion_tokens, most * self.request.sequences)
        prompt_tokens = min(self.thought_bytes // BYTES_PER_TOKEN, self.most_tokens)
        completion_tokens = min(completion_tokens, self.most_tokens - prompt_tokens)
        return Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens if self.path != EMBEDDINGS else 0,
        )


def ask_of(request: InferenceRequest, thought_bytes: int, path: str) -> Ask:
    """What is known of a request before it is answered."""
    return Ask(
        body_bytes=len(request.body),
        thought_bytes=thought_bytes,
        max_tokens=request.max_tokens,
        choices=request.sequences,
        generates=path != EMBEDDINGS,
        has_media=request.has_media,
    )
