"""A page with everything that a box can have at once: GPUs, upstreams, keys, and every counter."""

from __future__ import annotations

import msgspec

from api.metrics.page import Scraped, write
from hydra_box.alarms import Alarm
from hydra_box.engines.metrics import EngineMetrics
from hydra_box.gateway.measures import Measures
from hydra_box.messages import Attention, ServiceStats, ServiceView, UpstreamView
from hydra_box.types import EngineName, GpuCondition, GpuLoss, Histogram, MeasuredMemory, Severity
from tests.cli.fake_box import a_service_view, an_instance_view
from tests.exposition import Page, read
from tests.machines import two_rtx_3090_one_half_occupied
from tests.test_measures import a_record

HISTOGRAM = Histogram(bounds=(0.1, 1.0), counts=(1, 2, 3), sum=12.5)
_COUNTERS = {
    field.name: HISTOGRAM if field.type == Histogram | None else 1.0
    for field in msgspec.structs.fields(EngineMetrics)
}
ENGINE = EngineMetrics(**_COUNTERS)  # type: ignore[arg-type]
"""Which has every counter; no engine has all of them."""


def an_alarm() -> Alarm:
    return Alarm(
        id="gpu.lost.GPU-9",
        attention=Attention(message="GPU 9 is gone"),
        severity=Severity.ERROR,
        raised_at=1.0,
    )


def an_upstream() -> UpstreamView:
    return UpstreamView(
        id="up-0123456789ab",
        base_url="https://api.example.com/v1",
        model="big",
        weight=1.0,
        most_requests=64,
        allows_private=False,
        has_key=True,
        healthy=True,
        checked_at=1.0,
        reason=None,
        requests_in_flight=5,
        created_at=1.0,
    )


def a_full_service(name: str, instances: range) -> ServiceView:
    """A service with all that a view can have, on vLLM."""
    memory = MeasuredMemory(device="GPU-1", predicted_bytes=1000, measured_bytes=990)
    return a_service_view(
        name,
        engine=EngineName.VLLM,
        stats=ServiceStats(requests=3, last_ttft_seconds=0.1),
        upstreams=(an_upstream(),),
        instances=tuple(
            an_instance_view(f"{name}-{number:08x}", memory=(memory,), uptime_seconds=1.0)
            for number in instances
        ),
    )


def scraped(services: int, instances: int) -> Scraped:
    """So many services, each with so many instances that answer."""
    lost = GpuLoss(index=9, uuid="GPU-9", condition=GpuCondition.GPU_LOST, message="gone")
    machine = two_rtx_3090_one_half_occupied()
    views = tuple(
        a_full_service(f"s{number}", range(number * instances, (number + 1) * instances))
        for number in range(services)
    )
    measures = Measures()
    for view in views:
        one = a_record(service_id=view.id, ttft_seconds=0.1, tpot_seconds=0.01)
        measures.record(one)
        measures.add_energy((one,), {one.id: 500})
    return Scraped(
        started_at=1.0,
        machine=msgspec.structs.replace(machine, cpu_percent=5.0, lost_gpus=(lost,)),
        alarms=(an_alarm(),),
        happened={"instance.exited": 3, "alarm.raised": 1},
        views=views,
        measured={view.id: measures.of(view.id) for view in views},
        refused={"invalid_request": 2},
        keys=measures.by_key(),
        engines={one.id: ENGINE for view in views for one in view.instances},
    )


def fullest() -> Page:
    """One service with one instance."""
    return read(write(scraped(1, 1)))
