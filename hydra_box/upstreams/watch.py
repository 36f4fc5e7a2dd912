"""One upstream as it is now: the way to it, its health, and who asks for that."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import msgspec

from hydra_box.gateway.remote import RemoteChannel, Target
from hydra_box.messages import UpstreamView
from hydra_box.plan.upstream_health import (
    Health,
    HealthState,
    Trouble,
    after_answer,
    after_failed_probe,
    after_probe,
    after_trouble,
)
from hydra_box.types import Service, Upstream

Changed = Callable[["Watch", Health], None]
"""Is told that a watch's health is another one, with what it was before."""


class Watch:
    """Keeps the health of an upstream, from what requests show and from probes.

    Args:
        upstream: the row.
        service: whose upstream it is.
        key: of the upstream; None: it takes none.
        changed: told when it takes requests, works, or does either no more.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        upstream: Upstream,
        service: Service,
        key: str | None,
        *,
        changed: Changed,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.upstream = upstream
        self.key = key
        self.health = Health()
        self.checked_at: float | None = None
        self._changed = changed
        self._clock = clock
        self._woken = asyncio.Event()
        self._asking = asyncio.Lock()
        self.channel = RemoteChannel(
            _target(upstream, key),
            access_name=service.access_name,
            allows_private=upstream.allows_private,
            report=self._told,
        )

    def change(self, upstream: Upstream, key: str | None) -> None:
        """The upstream is set otherwise from now on; what is under way goes on as it was."""
        self.upstream, self.key = upstream, key
        if (target := _target(upstream, key)) != self.channel.target:
            self.channel.point_at(target)
            self._become(Health())

    def ask_soon(self) -> None:
        """Probe it now rather than when that is due."""
        self._become(msgspec.structs.replace(self.health, next_probe_at=0.0))

    def view(self, requests_in_flight: int) -> UpstreamView:
        """As it is shown."""
        one = self.upstream
        return UpstreamView(
            id=one.id,
            base_url=one.base_url,
            model=one.model,
            weight=one.weight,
            most_requests=one.most_requests,
            allows_private=one.allows_private,
            has_key=self.key is not None,
            healthy=self.health.takes_requests,
            checked_at=self.checked_at,
            reason=self.health.reason,
            requests_in_flight=requests_in_flight,
            created_at=one.created_at,
            context_length=self.channel.context_length,
        )

    async def run(self) -> None:
        """Probe it whenever that is due, until cancelled."""
        while True:
            due_in = self.health.next_probe_at - self._clock()
            if due_in <= 0:
                await self.probe()
                continue
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due_in):
                    await self._woken.wait()

    async def probe(self) -> None:
        """Ask it now; requests that it does not answer any more go elsewhere."""
        async with self._asking:
            target = self.channel.target
            trouble = await self.channel.probe()
            if target is not self.channel.target:
                return
            now = self._clock()
            self.checked_at = time.time()
            if trouble is None:
                self._become(after_probe(self.health, now))
                return
            self._become(after_failed_probe(self.health, trouble, now))
        if self.health.state is HealthState.UNHEALTHY:
            self.channel.give_up()

    def _told(self, trouble: Trouble | None) -> None:
        now = self._clock()
        if trouble is None:
            self.checked_at = time.time()
            self._become(after_answer(self.health, now))
        else:
            self._become(after_trouble(self.health, trouble, now))

    def _become(self, health: Health) -> None:
        before, self.health = self.health, health
        if health.next_probe_at < before.next_probe_at:
            self._woken.set()
        if (before.state, before.reason) != (health.state, health.reason):
            self._changed(self, before)


def _target(upstream: Upstream, key: str | None) -> Target:
    return Target(base_url=upstream.base_url, model=upstream.model, key=key)
