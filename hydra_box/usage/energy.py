"""What the GPUs draw while instances work, as NVML tells it, shared out over their requests.

Power that a GPU draws while none of its instances has a request is nobody's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from hydra_box.gateway.pool import Pool
from hydra_box.plan.energy import Worked, drawn_millijoules, share
from hydra_box.sampler import Sampler
from hydra_box.types import CPU, Instance, Machine, RequestRecord

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
"""Between two looks at who works; no look at the hardware."""

SAMPLE_SECONDS = 1.0
"""Between two looks at the power of GPUs that work."""


class EnergyMeter:
    """Adds up the energy of each GPU, and gives it to the requests that have ended.

    Args:
        pool: knows which instances work.
        sampler: knows the power.
        instances: every instance of every service.
        clock: seconds that never go back.

    """

    def __init__(
        self,
        *,
        pool: Pool,
        sampler: Sampler,
        instances: Callable[[], Iterable[Instance]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._sampler = sampler
        self._instances = instances
        self._clock = clock
        self._ticked_at = clock()
        self._sampled_at = 0.0
        self._watts: dict[str, float | None] = {}
        """Of the GPUs that worked at the last sample, by UUID."""
        self._busy_seconds: dict[str, float] = {}
        """Since the last sample."""
        self._millijoules: dict[str, float] = {}
        """That nobody has got yet."""
        self._devices: dict[str, tuple[str, ...]] = {}
        """GPUs of instances, by their ids; also of those that have just gone."""

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self.tick()
            except OSError:
                log.exception("the GPUs' power could not be looked at")

    async def tick(self) -> None:
        """Look who works, and from time to time at what that takes."""
        now = self._clock()
        seconds, self._ticked_at = now - self._ticked_at, now
        busy = self._busy()
        for uuid in busy:
            self._busy_seconds[uuid] = self._busy_seconds.get(uuid, 0.0) + seconds
        due = busy and now - self._sampled_at >= SAMPLE_SECONDS
        if due or busy != self._watts.keys():
            self._sampled_at = now
            self._integrate(await self._sampler.fresh(), busy)

    def share(self, requests: Sequence[RequestRecord]) -> Mapping[str, int]:
        """Millijoules of each request, by its id: its part of what was drawn since the last time.

        What a GPU has drawn on which none of them has used a token stays for the next.
        """
        now = _devices(self._instances())
        self._devices |= now
        worked = [
            Worked(
                request_id=one.id,
                devices=self._devices[one.instance_id],
                tokens=one.prompt_tokens + one.completion_tokens,
            )
            for one in requests
            if one.instance_id in self._devices
        ]
        whole = {uuid: int(drawn) for uuid, drawn in self._millijoules.items()}
        shares, left = share(whole, worked)
        for uuid, millijoules in whole.items():
            self._millijoules[uuid] -= millijoules - left.get(uuid, 0)
        self._devices = now
        return shares

    def _busy(self) -> set[str]:
        """GPUs on which an instance has a request in flight."""
        now = _devices(self._instances())
        self._devices |= now
        working = (uuids for id, uuids in now.items() if self._pool.in_flight(id))
        return {uuid for uuids in working for uuid in uuids}

    def _integrate(self, machine: Machine, busy: set[str]) -> None:
        watts = {one.uuid: one.power_watts for one in machine.gpus if one.power_watts is not None}
        for uuid, seconds in self._busy_seconds.items():
            now_watts = watts.get(uuid)
            before_watts = self._watts.get(uuid, now_watts)
            if now_watts is not None and before_watts is not None:
                drawn = drawn_millijoules(before_watts, now_watts, seconds)
                self._millijoules[uuid] = self._millijoules.get(uuid, 0.0) + drawn
        self._busy_seconds = {}
        self._watts = {uuid: watts.get(uuid) for uuid in busy}


def _devices(instances: Iterable[Instance]) -> dict[str, tuple[str, ...]]:
    """The GPUs of every instance that has some, by its id."""
    placed = (one for one in instances if one.device not in ("", CPU))
    return {one.id: tuple(one.device.split(",")) for one in placed}
