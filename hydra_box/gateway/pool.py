"""Services, their ready instances, the leases on them, and the queue in front of them.

The supervisor tells what is there; the relay borrows slots. Nothing here waits for anything but a
free slot, and everything runs on one event loop, so that every decision is made and carried out
without another one in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection

from hydra_box.config import Settings
from hydra_box.errors import Unavailable
from hydra_box.gateway.activity import Activity
from hydra_box.gateway.channel import Channel
from hydra_box.gateway.closing import Closing, lose
from hydra_box.gateway.endpoint import Endpoint, Lease, PooledInstance, stopping
from hydra_box.gateway.queue import Waiter
from hydra_box.gateway.rate import TICK_SECONDS
from hydra_box.gateway.waiting import (
    free_instance,
    make_room,
    refuse_waiting,
    serve_waiting,
    wait_for_slot,
)
from hydra_box.gateway.waking import Waker, hold_seconds, not_ready
from hydra_box.messages import ServiceStats
from hydra_box.plan.routing import caught_up
from hydra_box.types import EngineName, Service, ServiceStatus


class Pool:
    """Who may be asked, and who is being asked."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._waker: Waker | None = None
        self._endpoints: dict[str, Endpoint] = {}
        self._by_access_name: dict[str, Endpoint] = {}
        self._instances: dict[str, PooledInstance] = {}
        self._closing = Closing()
        self._closed = False
        self._activity = Activity()

    # --- what is there: told by the supervisor ----------------------------------------------

    def use_waker(self, waker: Waker) -> None:
        """Who wakes services is known; told once."""
        self._waker = waker

    def put_service(
        self,
        service: Service,
        status: ServiceStatus,
        reason: str | None,
        *,
        asleep: bool = False,
        waking: bool = False,
    ) -> None:
        """A service exists, and this is how it is; told again at every change."""
        endpoint = self._endpoints.get(service.id)
        if endpoint is None:
            endpoint = Endpoint(service, status, reason)
            self._endpoints[service.id] = endpoint
        else:
            self._by_access_name.pop(endpoint.access_name, None)
            endpoint.service, endpoint.status, endpoint.reason = service, status, reason
        self._by_access_name[service.access_name] = endpoint
        endpoint.asleep = asleep
        gave_up = endpoint.waking_since is not None and not (waking or asleep or endpoint.slots)
        endpoint.waking_since = (endpoint.waking_since or self._clock()) if waking else None
        if endpoint.refusal():
            refuse_waiting(endpoint)
        elif gave_up:
            endpoint.queue.refuse(endpoint.not_ready)

    def drop_service(self, service_id: str) -> None:
        """The service is no more; requests that wait for it are answered 404."""
        if endpoint := self._endpoints.pop(service_id, None):
            self._by_access_name.pop(endpoint.access_name, None)
            endpoint.status = ServiceStatus.DELETING
            refuse_waiting(endpoint)

    def add_instance(
        self,
        service_id: str,
        instance_id: str,
        channel: Channel,
        slots: int,
        *,
        engine: EngineName,
        weight: float = 1.0,
        start_seconds: float | None = None,
    ) -> None:
        """An instance is ready, or an upstream is set: it takes requests, first of the waiting."""
        endpoint = self._endpoints[service_id]
        endpoint.active_at = self._clock()
        endpoint.start_seconds = start_seconds or endpoint.start_seconds
        if replaced := self._detach(instance_id):
            self._closing.begin(replaced)
        instance = PooledInstance(instance_id, endpoint, channel, slots, engine, weight)
        instance.idle.set()
        instance.served = caught_up(weight, endpoint.candidates())
        self._instances[instance_id] = endpoint.instances[instance_id] = instance
        serve_waiting(self, endpoint)

    def drain_instance(self, instance_id: str) -> None:
        """The instance takes no new request."""
        if instance := self._instances.get(instance_id):
            instance.draining = True

    def rest_instance(self, instance_id: str, *, resting: bool) -> None:
        """The instance takes no new request, or does again; what it has goes on."""
        if instance := self._instances.get(instance_id):
            if instance.resting and not resting:
                others = instance.endpoint.candidates()
                instance.served = max(instance.served, caught_up(instance.weight, others))
            instance.resting = resting
            serve_waiting(self, instance.endpoint)

    def tune_instance(self, instance_id: str, *, slots: int, weight: float) -> None:
        """The instance may be given so much from now on."""
        if instance := self._instances.get(instance_id):
            instance.slots = slots
            instance.served *= weight / instance.weight
            instance.weight = weight
            serve_waiting(self, instance.endpoint)

    async def wait_idle(self, instance_id: str) -> None:
        """Until the instance has no request in flight."""
        if instance := self._instances.get(instance_id):
            await instance.idle.wait()

    async def wait_drained(self, instance_id: str) -> None:
        """Until the instance has no request in flight, or they took too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_timeout_seconds):
                await self.wait_idle(instance_id)

    async def remove_instance(self, instance_id: str) -> None:
        """The instance is gone; its requests that have not begun to answer go elsewhere."""
        if instance := self._detach(instance_id):
            closing = self._closing.begin(instance)
            if not instance.leases:
                await closing

    # --- what is known: read by everyone ----------------------------------------------------

    def find(self, access_name: str) -> Endpoint | None:
        """The endpoint with that access name."""
        return self._by_access_name.get(access_name)

    def endpoints(self) -> Collection[Endpoint]:
        """All of them."""
        return self._endpoints.values()

    def in_flight(self, instance_id: str) -> int:
        """Requests that the instance is working on."""
        instance = self._instances.get(instance_id)
        return len(instance.leases) if instance else 0

    def heard_and_asked(self, instance_id: str) -> tuple[int, int] | None:
        """Parts of answers that came from an instance, and requests that wait for it now."""
        instance = self._instances.get(instance_id)
        return None if instance is None else (instance.heard, instance.asked)

    def idle_seconds(self, service_id: str) -> float | None:
        """Since the service's last request ended; None: one is in flight or waits."""
        endpoint = self._endpoints[service_id]
        return None if endpoint.busy else self._clock() - endpoint.active_at

    def stats(self, service_id: str) -> ServiceStats:
        """What was counted for the service since the daemon started."""
        endpoint = self._endpoints.get(service_id)
        return ServiceStats() if endpoint is None else endpoint.stats()

    async def keep_rates(self) -> None:
        """Look at the counters of tokens again and again, until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for endpoint in self._endpoints.values():
                endpoint.rate.look(asyncio.get_running_loop().time())

    async def wait_all_idle(self) -> None:
        """Until no request is in flight and none waits."""
        await self._activity.wait_for_none()

    # --- leases: used by the relay ----------------------------------------------------------

    async def acquire(
        self,
        endpoint: Endpoint,
        failed: Collection[PooledInstance] = (),
        *,
        flow: str = "",
        cost: float = 1.0,
        wait_seconds: float | None = None,
    ) -> Lease:
        """Borrow a slot, waiting in the queue if all are busy, or the service is asleep.

        Args:
            endpoint: whose slot.
            failed: the instances that already failed at this request: it stands at the front of the
                queue then, and waits for one that comes, too.
            flow: whose request it is; flows are served fairly.
            cost: tokens that it is thought to take.
            wait_seconds: how long its client prefers to wait at most; None: it does not say.

        Raises:
            Unavailable: no instance is ready, the queue is full, or the wait was too long.
            ModelNotFound: the service is being deleted.

        """
        if self._closed:
            raise stopping()
        if refusal := endpoint.refusal():
            raise refusal
        if endpoint.asleep and self._waker is not None:
            self._waker.wake(endpoint.service.id)
        if instance := free_instance(endpoint, failed):
            return self.lend(instance)
        limit = self._settings.queue_timeout_seconds
        longest = limit if wait_seconds is None else min(wait_seconds, limit)
        if not (failed or endpoint.slots):
            longest = hold_seconds(endpoint, wait_seconds, self._settings.wake_timeout_seconds)
            if not longest:
                raise self.not_ready(endpoint)
        if not failed and len(endpoint.queue) >= self._settings.queue_limit:
            make_room(endpoint, flow)
        waiter = Waiter(
            lease=asyncio.get_running_loop().create_future(),
            failed=set(failed),
            flow=flow,
            cost=cost,
        )
        self._activity.begin()
        try:
            return await wait_for_slot(self, endpoint, waiter, longest)
        finally:
            endpoint.active_at = self._clock()
            self._activity.end()

    def lend(self, instance: PooledInstance) -> Lease:
        """A lease on a slot that is known to be free."""
        lease = Lease(instance)
        instance.leases.add(lease)
        instance.served += 1
        instance.idle.clear()
        self._activity.begin()
        return lease

    def release(self, lease: Lease) -> None:
        """Give a slot back; safe to repeat."""
        instance = lease.instance
        if lease not in instance.leases:
            return
        instance.leases.remove(lease)
        instance.endpoint.active_at = self._clock()
        if not instance.leases:
            instance.idle.set()
        serve_waiting(self, instance.endpoint)
        self._activity.end()

    def not_ready(self, endpoint: Endpoint) -> Unavailable:
        """The answer while no instance is ready."""
        return not_ready(endpoint, self._waker, self._clock())

    def refuse_waiting(self) -> None:
        """Answer every request in a queue: the daemon stops."""
        for endpoint in self._endpoints.values():
            refuse_waiting(endpoint)

    async def close(self) -> None:
        """End everything that is left."""
        self._closed = True
        self.refuse_waiting()
        for instance_id in list(self._instances):
            lose(self._instances[instance_id].leases)
            await self.remove_instance(instance_id)
        await self._closing.wait()

    def _detach(self, instance_id: str) -> PooledInstance | None:
        instance = self._instances.pop(instance_id, None)
        if instance is not None:
            instance.draining = True
            instance.endpoint.instances.pop(instance_id, None)
        return instance
