"""What services did in the last hour, in memory: one sample of each every ten seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from hydra_box.gateway.endpoint import Endpoint
from hydra_box.gateway.pool import Pool
from hydra_box.measure import claims
from hydra_box.messages import ServiceHistory, ServiceSample
from hydra_box.sampler import Sampler
from hydra_box.types import Instance

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 10.0
KEPT_SAMPLES = 360


class _Counted(NamedTuple):
    """A service's counters at the end of an interval."""

    tokens: int = 0
    ended: int = 0
    ttft_seconds: float = 0.0
    ttft_count: int = 0


class History:
    """Takes the samples, and keeps those of the services that there are.

    Args:
        pool: has the counters.
        instances: every instance of every service.
        sampler: knows what of the GPUs their processes hold.
        clock: Unix time.
        monotonic: seconds that never go back.

    """

    def __init__(
        self,
        *,
        pool: Pool,
        instances: Callable[[], Iterable[Instance]],
        sampler: Sampler,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._instances = instances
        self._sampler = sampler
        self._clock = clock
        self._monotonic = monotonic
        self._samples: dict[str, deque[ServiceSample]] = {}
        self._counted: dict[str, _Counted] = {}
        self._sampled_at = monotonic()

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.sample()
            except OSError:
                log.exception("what services hold could not be looked at")

    async def sample(self) -> None:
        """Take a sample of every service: what it did since the one before."""
        held = await self._held_bytes()
        at, now = self._clock(), self._monotonic()
        seconds, self._sampled_at = now - self._sampled_at, now
        endpoints = {one.service.id: one for one in self._pool.endpoints()}
        counted = {id: _count(one) for id, one in endpoints.items()}
        kept = {id: self._samples.get(id) or deque(maxlen=KEPT_SAMPLES) for id in endpoints}
        for id in endpoints:
            did = _between(self._counted.get(id, _Counted()), counted[id])
            stats = self._pool.stats(id)
            kept[id].append(
                ServiceSample(
                    at=at,
                    tokens_per_second=round(max(0, did.tokens) / seconds, 2),
                    requests=did.ended,
                    ttft_seconds=did.ttft_seconds / did.ttft_count if did.ttft_count else None,
                    requests_in_flight=stats.requests_in_flight,
                    requests_queued=stats.requests_queued,
                    memory_bytes=held[id],
                )
            )
        self._samples, self._counted = kept, counted

    def of(self, service_id: str) -> ServiceHistory:
        """What a service did; nothing, before its first sample."""
        samples = self._samples.get(service_id, ())
        return ServiceHistory(interval_seconds=INTERVAL_SECONDS, samples=tuple(samples))

    async def _held_bytes(self) -> Counter[str]:
        """What the instances of each service hold, on all devices."""
        held = Counter[str]()
        running = [one for one in self._instances() if one.pid is not None]
        if running:
            for claim in await asyncio.to_thread(claims, running, self._sampler.latest()):
                held[claim.service_id or ""] += claim.used_bytes
        return held


def _count(endpoint: Endpoint) -> _Counted:
    return _Counted(
        tokens=endpoint.rate.tokens,
        ended=endpoint.ended,
        ttft_seconds=endpoint.ttft_seconds,
        ttft_count=endpoint.ttft_count,
    )


def _between(before: _Counted, after: _Counted) -> _Counted:
    return _Counted(
        tokens=after.tokens - before.tokens,
        ended=after.ended - before.ended,
        ttft_seconds=after.ttft_seconds - before.ttft_seconds,
        ttft_count=after.ttft_count - before.ttft_count,
    )
