"""What services are doing: told to whoever asks, to the gateway, and in the events."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hydra_box.gateway.pool import Pool
from hydra_box.journal import Journal
from hydra_box.plan.status import service_reason, service_status
from hydra_box.plan.upstream_health import Health, upstreams_reason
from hydra_box.plan.ways import Pins, outdated
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.sleepers import Sleepers
from hydra_box.types import DesiredState, Download, Service, ServiceStatus, Severity


class Statuses:
    """Works out the status of a service from all that is known of it, and publishes it."""

    def __init__(
        self,
        *,
        journal: Journal,
        pool: Pool,
        instances: Instances,
        sleepers: Sleepers,
        missing: Callable[[Service], Download | None],
    ) -> None:
        """Make it.

        Args:
            journal: gets an event for each new status.
            pool: learns what to answer to requests.
            instances: the actual state.
            sleepers: which services sleep, and which are waking.
            missing: the download that a service still waits for.
        """
        self._journal = journal
        self._pool = pool
        self._instances = instances
        self._sleepers = sleepers
        self._missing = missing
        self._upstreams: dict[str, Sequence[tuple[str, Health]]] = {}
        """By service, as ``upstreams.py`` tells."""
        self.pins: Callable[[], Pins] = dict
        """Which runtimes are pinned."""
        self._published: dict[str, ServiceStatus] = {}

    def of(self, service: Service) -> ServiceStatus:
        """What a service is doing."""
        return service_status(
            service,
            self._instances.of(service.id),
            self._missing(service),
            outdated=self.outdated(service),
            asleep=self._sleepers.is_asleep(service.id),
            upstreams=[one for _, one in self._upstreams.get(service.id, ())],
        )

    def reason(self, service: Service) -> str | None:
        """What is wrong with a service, if anything is."""
        reason = service_reason(self._instances.of(service.id), self._missing(service))
        if reason is not None or service.desired_state is not DesiredState.RUNNING:
            return reason
        return upstreams_reason(service, self._upstreams.get(service.id, ()))

    def outdated(self, service: Service) -> frozenset[str]:
        """The ids of a service's instances that run otherwise than they now should."""
        return outdated(service, self._instances.of(service.id), self.pins())

    def put_upstreams(self, service_id: str, healths: Sequence[tuple[str, Health]]) -> None:
        """A service's upstreams are so now, each with its id."""
        self._upstreams[service_id] = healths

    def publish(self, service: Service) -> None:
        """Have the gateway act on how a service is, and tell of it if that is new."""
        self._sleepers.look(service, self._instances.of(service.id))
        status = self.of(service)
        self._pool.put_service(
            service,
            status,
            self.reason(service),
            asleep=self._sleepers.is_asleep(service.id),
            waking=self._sleepers.is_waking(service.id),
        )
        if self._published.get(service.id) is not status:
            self._published[service.id] = status
            self._journal.record(
                "service.status",
                f"{service.name} is {status}",
                severity=Severity.ERROR if status is ServiceStatus.FAILED else Severity.INFO,
                service=service,
            )

    def forget_service(self, service_id: str) -> None:
        """A service is gone."""
        self._published.pop(service_id, None)
        self._upstreams.pop(service_id, None)
