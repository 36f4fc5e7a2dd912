"""The one writer of upstreams: their rows, their keys, and how each of them is."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from hydra_box.errors import Conflict, NotFound
from hydra_box.gateway.pool import Pool
from hydra_box.journal import Journal
from hydra_box.messages import EditUpstreamRequest, UpstreamRequest, UpstreamView
from hydra_box.plan.upstream_health import Health, HealthState
from hydra_box.store import Store
from hydra_box.types import DesiredState, Service, Severity, Upstream
from hydra_box.upstreams.keys import UpstreamKeys
from hydra_box.upstreams.rules import (
    check_key,
    check_model,
    check_most_requests,
    check_public,
    check_upstream,
    check_weight,
)
from hydra_box.upstreams.watch import Watch
from hydra_box.upstreams.work import AtWork

MOST_OF_A_SERVICE = 32

Healths = tuple[tuple[str, Health], ...]
"""How a service's upstreams are, each with its id."""

T = TypeVar("T")


class Upstreams:
    """Every upstream of every service; they stand in the pool beside instances.

    Args:
        store: where the rows are.
        keys: where the keys are.
        pool: is told which of them take requests.
        journal: is told what happens.
        tell: told how a service's upstreams are, whenever one of them is otherwise.
        drain_seconds: how long requests under way may take when an upstream is removed.
        clock: Unix time.

    """

    def __init__(
        self,
        *,
        store: Store,
        keys: UpstreamKeys,
        pool: Pool,
        journal: Journal,
        tell: Callable[[str, Healths], None],
        drain_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._keys = keys
        self._at_work = AtWork(pool, drain_seconds)
        self._journal = journal
        self._tell = tell
        self._clock = clock
        self._services: dict[str, Service] = {}
        self._watches: dict[str, Watch] = {}
        self._writing = asyncio.Lock()

    async def load(self, services: Iterable[Service]) -> None:
        """Read them from the store; those of deleted services go."""
        live = {one.id: one for one in services if one.desired_state is not DesiredState.DELETED}
        rows = [one for one in await self._store.upstreams() if one.service_id in live]
        await asyncio.to_thread(self._keys.keep_only, [one.id for one in rows])
        for row in rows:
            key = await asyncio.to_thread(self._keys.read, row.id)
            self._watch(row, live[row.service_id], key)
        for id in {one.service_id for one in rows}:
            self._tell(id, self._healths(id))

    # --- what there is -----------------------------------------------------------

    def views(self, service_id: str) -> tuple[UpstreamView, ...]:
        """A service's upstreams, oldest first."""
        return tuple(self._view(one) for one in self._of(service_id))

    # --- what others ask ---------------------------------------------------------

    def follow(self, service: Service) -> None:
        """A service is as it is now: its upstreams are asked for their health while it runs."""
        self._services[service.id] = service
        for watch in self._of(service.id):
            self._at_work.join(watch)
            self._at_work.probe(watch, wanted=service.desired_state is DesiredState.RUNNING)

    def ask_soon(self, service_id: str) -> None:
        """Whoever is not healthy is asked now."""
        for watch in self._of(service_id):
            if not watch.health.takes_requests:
                watch.ask_soon()

    async def add(self, service: Service, request: UpstreamRequest) -> UpstreamView:
        """Give a service an upstream; a new one takes requests once its service is followed.

        Raises:
            InvalidRequest: a value is wrong, or the service is not public.
            Conflict: it has one with that address and model, or too many.

        """
        check_public(service)
        url, key = check_upstream(request)
        async with self._writing:
            self._check_room(service, url, request.model)
            upstream = Upstream(
                id=f"up-{secrets.token_hex(6)}",
                service_id=service.id,
                base_url=url,
                model=request.model,
                weight=request.weight,
                most_requests=request.most_requests,
                allows_private=request.allow_private,
                created_at=self._clock(),
            )
            if key is not None:
                await asyncio.to_thread(self._keys.write, upstream.id, key)
            await self._store.save_upstream(upstream)
            watch = self._watch(upstream, service, key)
            self._tell(service.id, self._healths(service.id))
        self._record("added", f"{service.name} has the upstream {upstream.id}", service, upstream)
        if followed := self._services.get(service.id):
            self.follow(followed)
        return self._view(watch)

    async def edit(self, service: Service, id: str, request: EditUpstreamRequest) -> UpstreamView:
        """Change an upstream; what it answers already goes on as it was.

        Raises:
            InvalidRequest: a value is wrong.
            NotFound: the service has no such upstream.

        """
        async with self._writing:
            watch = self._find(service, id)
            old = watch.upstream
            new = msgspec.structs.replace(
                old,
                model=check_model(_or(request.model, old.model)),
                weight=check_weight(_or(request.weight, old.weight)),
                most_requests=check_most_requests(_or(request.most_requests, old.most_requests)),
            )
            key = await self._change_key(id, request.api_key, watch.key)
            await self._store.save_upstream(new)
            watch.change(new, key)
            self._at_work.tune(watch)
        self._record("changed", f"the upstream {id} of {service.name} is changed", service, new)
        return self._view(watch)

    async def remove(self, service: Service, id: str) -> UpstreamView:
        """Take an upstream away, after its requests under way.

        Raises:
            NotFound: the service has no such upstream.

        """
        async with self._writing:
            watch = self._find(service, id)
            view = self._view(watch)
            await self._forget(watch)
        self._record("removed", f"{service.name} has {id} no more", service, watch.upstream)
        self._tell(service.id, self._healths(service.id))
        return view

    async def check(self, service: Service, id: str) -> UpstreamView:
        """Ask an upstream for its health now.

        Raises:
            NotFound: the service has no such upstream.

        """
        watch = self._find(service, id)
        await watch.probe()
        return self._view(watch)

    async def forget(self, service_id: str) -> None:
        """A service is deleted: so are its upstreams and their keys."""
        async with self._writing:
            for watch in self._of(service_id):
                await self._forget(watch)
            self._services.pop(service_id, None)

    async def close(self) -> None:
        """Ask nobody any more."""
        self._at_work.close()
        for watch in self._watches.values():
            await watch.channel.close()

    # --- inside --------------------------------------------------------------------

    def _watch(self, upstream: Upstream, service: Service, key: str | None) -> Watch:
        watch = Watch(upstream, service, key, changed=self._health_changed)
        self._watches[upstream.id] = watch
        return watch

    def _health_changed(self, watch: Watch, before: Health) -> None:
        row, health = watch.upstream, watch.health
        self._at_work.look(watch)
        service = self._services.get(row.service_id)
        if service is None:
            return
        if health.state is HealthState.UNHEALTHY and before.state is not HealthState.UNHEALTHY:
            what = f"the upstream {row.id} of {service.name} is not healthy: {health.reason}"
            self._record("unhealthy", what, service, row, severity=Severity.ERROR)
        elif health.takes_requests and before.state is not HealthState.RESTING:
            what = f"the upstream {row.id} of {service.name} is healthy"
            self._record("healthy", what, service, row)
        self._tell(service.id, self._healths(service.id))

    async def _change_key(
        self, id: str, asked: str | UnsetType | None, present: str | None
    ) -> str | None:
        if asked is UNSET:
            return present
        if asked is None:
            await asyncio.to_thread(self._keys.remove, id)
            return None
        await asyncio.to_thread(self._keys.write, id, check_key(asked))
        return asked

    async def _forget(self, watch: Watch) -> None:
        id = watch.upstream.id
        await self._store.delete_upstream(id)
        await asyncio.to_thread(self._keys.remove, id)
        self._watches.pop(id, None)
        self._at_work.leave(watch)

    def _healths(self, service_id: str) -> Healths:
        return tuple((one.upstream.id, one.health) for one in self._of(service_id))

    def _of(self, service_id: str) -> list[Watch]:
        return [one for one in self._watches.values() if one.upstream.service_id == service_id]

    def _view(self, watch: Watch) -> UpstreamView:
        return watch.view(self._at_work.in_flight(watch))

    def _find(self, service: Service, id: str) -> Watch:
        watch = self._watches.get(id)
        if watch is None or watch.upstream.service_id != service.id:
            ids = [one.upstream.id for one in self._of(service.id)]
            hint = f"it has {', '.join(ids)}" if ids else "it has none"
            raise NotFound(f"{service.name} has no upstream {id[:64]!r}", hint=hint, param="id")
        return watch

    def _check_room(self, service: Service, url: str, model: str) -> None:
        present = self._of(service.id)
        for one in present:
            if (one.upstream.base_url, one.upstream.model) == (url, model):
                raise Conflict(
                    f"{service.name} has that upstream already: {one.upstream.id}",
                    hint=f"hydra-box upstreams edit {service.name} {one.upstream.id}",
                    param="base_url",
                )
        if len(present) >= MOST_OF_A_SERVICE:
            raise Conflict(f"{service.name} has {len(present)} upstreams already")

    def _record(
        self,
        kind: str,
        message: str,
        service: Service,
        upstream: Upstream,
        *,
        severity: Severity = Severity.INFO,
    ) -> None:
        self._journal.record(
            f"upstream.{kind}",
            message,
            severity=severity,
            service=service,
            instance_id=upstream.id,
        )


def _or(asked: T | UnsetType, present: T) -> T:
    return present if isinstance(asked, UnsetType) else asked
