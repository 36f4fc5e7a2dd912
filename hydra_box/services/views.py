"""How services are shown: what is wanted, beside what runs, waits, and was counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hydra_box.config import Paths
from hydra_box.downloads import Downloads
from hydra_box.errors import NotFound
from hydra_box.gateway.pool import Pool
from hydra_box.messages import InstanceView, ServiceView
from hydra_box.modalities import Modalities
from hydra_box.plan.rollout import told
from hydra_box.supervisor import Supervisor
from hydra_box.types import Instance, InstanceState, Service, ServiceStatus
from hydra_box.upstreams.registry import Upstreams
from hydra_box.users import Users


class ServiceViews:
    """Puts together what the rooms know of a service."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        pool: Pool,
        downloads: Downloads,
        modalities: Modalities,
        users: Users,
        upstreams: Upstreams,
        paths: Paths,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._supervisor = supervisor
        self._pool = pool
        self._downloads = downloads
        self._users = users
        self._upstreams = upstreams
        self._paths = paths
        self._clock = clock
        self.modalities = modalities
        """What their models take and make."""

    def of(self, service: Service) -> ServiceView:
        """The service as it is now."""
        instances = self._supervisor.instances_of(service.id)
        status = self._supervisor.statuses.of(service)
        waits = status in (ServiceStatus.DEPLOYING, ServiceStatus.SCALING)
        upstreams = self._upstreams.views(service.id)
        lengths = (one.context_length for one in upstreams if one.context_length)
        return ServiceView(
            id=service.id,
            name=service.name,
            access_name=service.access_name,
            owner_id=service.owner_id,
            public=service.public,
            status=status,
            base_model=service.base_model,
            engine=service.engine,
            quantization=service.quantization,
            # Every upstream takes what the smallest does; of none of them it is not known.
            context_length=service.context_length or min(lengths, default=0),
            slots=service.slots,
            desired_instances=service.desired_instances,
            ready_instances=sum(one.state is InstanceState.READY for one in instances),
            instances=tuple(self._view_instance(one, service) for one in instances),
            created_at=service.created_at,
            stats=self._pool.stats(service.id),
            reason=self._supervisor.statuses.reason(service),
            progress=self._supervisor.progress(service.id) if waits else None,
            eta_seconds=self._supervisor.eta_seconds(service.id) if waits else None,
            download=self._downloads.view_of(service),
            modality=self.modalities.of(service),
            on_cpu=service.on_cpu,
            asleep=self._supervisor.is_asleep(service.id),
            idle_timeout_seconds=service.idle_timeout_seconds,
            owner_name=self._users.get(service.owner_id).name,
            price=service.price,
            priority=service.priority,
            upstreams=upstreams,
            rollout=told(service, instances, self._supervisor.statuses.outdated(service)),
        )

    def log_path(self, service: Service, instance: str | None) -> Path:
        """The log of an instance of a service; without one, of the newest.

        Raises:
            NotFound: no such instance (names those there are), or none at all.
        """
        ids = [one.id for one in self._supervisor.instances_of(service.id)]
        if not ids:
            raise NotFound(
                f"{service.name} has no instance and so no log",
                hint=f"hydra-box start {service.name}",
            )
        if instance is not None and instance not in ids:
            raise NotFound(
                f"{service.name} has no instance {instance!r}", hint=f"instances: {', '.join(ids)}"
            )
        return self._paths.instance_log(instance or ids[-1])

    def _view_instance(self, instance: Instance, service: Service) -> InstanceView:
        ready_at, placement = instance.ready_at, instance.placement
        return InstanceView(
            id=instance.id,
            pid=instance.pid,
            state=instance.state,
            device=instance.device,
            restarts=instance.restarts,
            requests_in_flight=self._pool.in_flight(instance.id),
            slots=service.slots if placement is None else placement.options.slots,
            runtime=instance.runtime_id,
            uptime_seconds=None if ready_at is None else max(0.0, self._clock() - ready_at),
            memory=instance.measured,
            reason=instance.reason,
        )
