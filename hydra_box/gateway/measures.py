"""What the requests since the daemon's start come to: counters and histograms, in memory.

The books have the same requests, to the token; these are for whoever looks at how they change.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hydra_box.gateway.finished import Record
from hydra_box.plan.energy import ShareEnergy
from hydra_box.types import Frozen, Histogram, Outcome, RequestRecord

TTFT_BOUNDS = (
    *(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
    *(10.0, 20.0, 30.0, 60.0, 120.0, 300.0),
)
"""From a prompt in the cache to a minute in the queue, or a model that is waked."""

TPOT_BOUNDS = (
    *(0.001, 0.002, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.2, 0.5, 1.0, 2.5),
)
"""Closest between 5 and 75 ms, where readers begin to notice; the last is of a box that swaps."""

DURATION_BOUNDS = (
    *(0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0),
    *(60.0, 120.0, 300.0, 600.0),
)
"""From an embedding to a long answer on a CPU."""

MOST_KEYS = 1000
"""Keys that are told apart; what more keys do is added up as one, so that memory is bounded."""

OTHER_KEYS = "other"
"""In the place of their id."""


@dataclass(slots=True)
class Tally:
    """What a number of requests used."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    estimated_tokens: int = 0
    """Of prompts and answers: those that were not counted by the engine."""
    cost_nanos: int = 0
    energy_millijoules: int = 0

    def add(self, one: RequestRecord) -> None:
        """One request more."""
        self.prompt_tokens += one.prompt_tokens
        self.cached_tokens += one.cached_tokens
        self.completion_tokens += one.completion_tokens
        self.reasoning_tokens += one.reasoning_tokens
        self.cost_nanos += one.cost_nanos
        if one.estimated:
            self.estimated_tokens += one.prompt_tokens + one.completion_tokens


class ServiceMeasures(Frozen, frozen=True, kw_only=True):
    """A service's requests since the daemon started."""

    requests: dict[tuple[str, Outcome], int]
    """By endpoint and outcome."""
    used: Tally
    ttft_seconds: Histogram
    tpot_seconds: Histogram
    duration_seconds: Histogram
    """Of the requests that were let in."""


class KeyMeasures(Frozen, frozen=True, kw_only=True):
    """A key's requests since the daemon started, of all services."""

    key_id: str
    """Empty: none was needed; ``OTHER_KEYS``: of all that are not told apart."""
    key_name: str = ""
    user_name: str = ""
    requests: dict[Outcome, int]
    used: Tally


class Measures:
    """Adds up what it is told of each request, at once and in the order in which they end."""

    def __init__(self, most_keys: int = MOST_KEYS) -> None:
        self._most_keys = most_keys
        self._services: dict[str, _Service] = {}
        self._keys: dict[str, _Key] = {}
        self._others = _Key()

    def record(self, one: RequestRecord) -> None:
        """Add a request that is over."""
        service = self._services.get(one.service_id)
        if service is None:
            service = self._services[one.service_id] = _Service()
        service.add(one)
        self._key(one).add(one)

    def told_of(self, record: Record) -> Record:
        """Whoever else takes note of requests; and these."""

        def both(one: RequestRecord) -> None:
            record(one)
            self.record(one)

        return both

    def told_of_energy(self, share: ShareEnergy) -> ShareEnergy:
        """Whoever says what requests drew, for others; and for these."""

        def both(requests: Sequence[RequestRecord]) -> Mapping[str, int]:
            shares = share(requests)
            self.add_energy(requests, shares)
            return shares

        return both

    def add_energy(self, requests: Iterable[RequestRecord], millijoules: Mapping[str, int]) -> None:
        """Add what requests drew, by their ids; it is known a moment after they have ended."""
        for one in requests:
            drawn = millijoules.get(one.id, 0)
            if (service := self._services.get(one.service_id)) is not None:
                service.used.energy_millijoules += drawn
            self._keys.get(one.key_id, self._others).used.energy_millijoules += drawn

    def of(self, service_id: str) -> ServiceMeasures:
        """What was added for the service; nothing, before its first request."""
        return self._services.get(service_id, _Service()).view()

    def by_key(self) -> tuple[KeyMeasures, ...]:
        """What was added for each key."""
        told = {**self._keys, OTHER_KEYS: self._others} if self._others.requests else self._keys
        return tuple(key.view(id) for id, key in told.items())

    def keep(self, service_ids: Iterable[str]) -> None:
        """Forget every other service: it is no more."""
        kept = frozenset(service_ids)
        for id in self._services.keys() - kept:
            del self._services[id]

    def _key(self, one: RequestRecord) -> _Key:
        key = self._keys.get(one.key_id)
        if key is None:
            if len(self._keys) >= self._most_keys:
                return self._others
            key = self._keys[one.key_id] = _Key()
        # Both may be renamed: the series goes on under the name that they have now.
        key.key_name, key.user_name = one.key_name, one.user_name
        return key


class _Buckets:
    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def view(self) -> Histogram:
        return Histogram(bounds=self._bounds, counts=tuple(self._counts), sum=self._sum)


@dataclass(slots=True)
class _Service:
    requests: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    used: Tally = field(default_factory=Tally)
    ttft: _Buckets = field(default_factory=lambda: _Buckets(TTFT_BOUNDS))
    tpot: _Buckets = field(default_factory=lambda: _Buckets(TPOT_BOUNDS))
    duration: _Buckets = field(default_factory=lambda: _Buckets(DURATION_BOUNDS))

    def add(self, one: RequestRecord) -> None:
        self.requests[one.endpoint, one.outcome] += 1
        self.used.add(one)
        if one.ttft_seconds is not None:
            self.ttft.add(one.ttft_seconds)
        if one.tpot_seconds is not None:
            self.tpot.add(one.tpot_seconds)
        # A refusal takes no time, and would make the others look quick.
        if one.outcome is not Outcome.REFUSED:
            self.duration.add(one.duration_seconds)

    def view(self) -> ServiceMeasures:
        return ServiceMeasures(
            requests=dict(self.requests),
            used=replace(self.used),
            ttft_seconds=self.ttft.view(),
            tpot_seconds=self.tpot.view(),
            duration_seconds=self.duration.view(),
        )


@dataclass(slots=True)
class _Key:
    key_name: str = ""
    user_name: str = ""
    requests: Counter[Outcome] = field(default_factory=Counter)
    used: Tally = field(default_factory=Tally)

    def add(self, one: RequestRecord) -> None:
        self.requests[one.outcome] += 1
        self.used.add(one)

    def view(self, id: str) -> KeyMeasures:
        return KeyMeasures(
            key_id=id,
            key_name=self.key_name,
            user_name=self.user_name,
            requests=dict(self.requests),
            used=replace(self.used),
        )
