"""Which services sleep, and which are waking."""

from __future__ import annotations

from collections.abc import Collection

from hydra_box.journal import Journal
from hydra_box.plan.sleep import cannot_wake, may_sleep
from hydra_box.types import DesiredState, Instance, InstanceState, Service


class Sleepers:
    """Actual state, in memory alone: the next daemon knows from the books who would sleep now."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._asleep: set[str] = set()
        self._waking: set[str] = set()
        self._ending: set[str] = set()

    def asleep(self) -> frozenset[str]:
        """The ids of the services that sleep."""
        return frozenset(self._asleep)

    def ending(self) -> frozenset[str]:
        """The ids of the instances that were ended because their services sleep."""
        return frozenset(self._ending)

    def is_asleep(self, service_id: str) -> bool:
        """Whether the next request has to wake a service."""
        return service_id in self._asleep

    def is_waking(self, service_id: str) -> bool:
        """Whether a service was woken, and nothing of it is ready."""
        return service_id in self._waking

    def fall_asleep(self, service: Service) -> None:
        """Nobody has called a service for its idle timeout."""
        self._asleep.add(service.id)
        self._journal.record(
            "service.asleep",
            f"{service.name} sleeps: nobody called it for {service.idle_timeout_seconds:g} s",
            service=service,
        )

    def wake(self, service: Service) -> bool:
        """Somebody wants a service; whether it slept."""
        if service.id not in self._asleep:
            return False
        self._asleep.remove(service.id)
        self._waking.add(service.id)
        self._journal.record("service.waking", f"{service.name} wakes", service=service)
        return True

    def look(self, service: Service, instances: Collection[Instance]) -> None:
        """Take note of what its owner wants of a service, and of how far its waking is."""
        wanted = service.desired_state is DesiredState.RUNNING
        if wanted and not may_sleep(service):
            self.wake(service)
        if not wanted:
            self._asleep.discard(service.id)
        ready = any(one.state is InstanceState.READY for one in instances)
        if ready or cannot_wake(instances) or not wanted:
            self._waking.discard(service.id)

    def end(self, instance: Instance) -> None:
        """An instance is being ended; note whether that is because its service sleeps."""
        if instance.service_id in self._asleep:
            self._ending.add(instance.id)

    def forget_instance(self, instance_id: str) -> None:
        """An instance is gone."""
        self._ending.discard(instance_id)

    def forget_service(self, service_id: str) -> None:
        """A service is gone."""
        self._asleep.discard(service_id)
        self._waking.discard(service_id)
