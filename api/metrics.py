"""The box in numbers, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from litestar import Response, get

from api.prometheus import MEDIA_TYPE, Family, Kind, Sample, render
from api.wiring import BoxParam
from hydra_box import __version__
from hydra_box.engine_loads import engine_loads
from hydra_box.engines import ENGINES
from hydra_box.engines.base import EngineLoad
from hydra_box.messages import InstanceView, ServiceView
from hydra_box.types import Gpu, InstanceState, Machine

Number = float | None


@get("/metrics", media_type=MEDIA_TYPE)
async def metrics(box: BoxParam) -> Response[str]:
    """GPUs, memory, services and instances in Prometheus' text format."""
    machine = await box.sampler.fresh()
    views = box.services.list()
    loads = await engine_loads(views, ENGINES, box.paths)
    families = (
        _gauge("hydra_box_info", "The daemon that answers.", Sample(1, {"version": __version__})),
        _gauge(
            "hydra_box_start_time_seconds",
            "When the daemon was started, in Unix time.",
            Sample(box.started_at),
        ),
        *machine_families(machine),
        *service_families(views),
        *load_families(views, loads),
    )
    return Response(render(families), media_type=MEDIA_TYPE)


def machine_families(machine: Machine) -> Iterator[Family]:
    """The machine: memory, CPU, disk, and every GPU."""
    load = None if machine.cpu_percent is None else machine.cpu_percent / 100
    for name, help, value in (
        ("ram_total_bytes", "Memory, control groups respected.", machine.ram_total_bytes),
        ("ram_available_bytes", "Memory that can be taken now.", machine.ram_available_bytes),
        ("cpu_utilization_ratio", "Of all cores, since the last sample.", load),
        ("cpu_cores", "Physical cores that the box may use.", machine.physical_cores),
        ("disk_total_bytes", "Of the state directory's disk.", machine.disk_total_bytes),
        ("disk_free_bytes", "Of the state directory's disk.", machine.disk_free_bytes),
    ):
        yield _gauge(f"hydra_box_{name}", help, Sample(value))
    yield from _gpu_families(machine.gpus)
    lost = (
        Sample(1, {"gpu": str(one.index), "uuid": one.uuid or "", "condition": one.condition.value})
        for one in machine.lost_gpus
    )
    yield _gauge("hydra_box_gpu_lost", "GPUs that cannot be used, and why.", *lost)


def _gpu_families(gpus: Sequence[Gpu]) -> Iterator[Family]:
    read: tuple[tuple[str, str, Callable[[Gpu], Number]], ...] = (
        ("memory_total_bytes", "Memory of the GPU or MIG instance.", lambda gpu: gpu.total_bytes),
        ("memory_free_bytes", "Memory that nobody holds.", lambda gpu: gpu.free_bytes),
        ("utilization_ratio", "How much of the time it was computing.", _utilization),
        ("temperature_celsius", "Of its core.", lambda gpu: gpu.temperature_celsius),
        ("power_watts", "What it draws.", lambda gpu: gpu.power_watts),
        ("power_limit_watts", "What it may draw.", lambda gpu: gpu.power_limit_watts),
        ("processes", "Processes that hold its memory.", lambda gpu: len(gpu.processes)),
    )
    for name, help, value in read:
        samples = (Sample(value(gpu), _gpu_labels(gpu)) for gpu in gpus)
        yield _gauge(f"hydra_box_gpu_{name}", help, *samples)


def _utilization(gpu: Gpu) -> Number:
    return None if gpu.utilization_percent is None else gpu.utilization_percent / 100


def _gpu_labels(gpu: Gpu) -> dict[str, str]:
    labels = {"gpu": str(gpu.index), "uuid": gpu.uuid, "name": gpu.name}
    return labels if gpu.mig_profile is None else {**labels, "mig_profile": gpu.mig_profile}


def service_families(views: Sequence[ServiceView]) -> Iterator[Family]:
    """Every service, and every instance of it."""
    counted: tuple[tuple[str, str, Callable[[ServiceView], Number]], ...] = (
        ("requests_total", "Requests since the daemon started.", lambda one: one.stats.requests),
        ("prompt_tokens_total", "Tokens read.", lambda one: one.stats.prompt_tokens),
        ("completion_tokens_total", "Tokens written.", lambda one: one.stats.completion_tokens),
    )
    now: tuple[tuple[str, str, Callable[[ServiceView], Number]], ...] = (
        (
            "requests_in_flight",
            "Requests being answered.",
            lambda one: one.stats.requests_in_flight,
        ),
        ("requests_queued", "Requests waiting for a slot.", lambda one: one.stats.requests_queued),
        ("last_ttft_seconds", "TTFT of the last request.", lambda one: one.stats.last_ttft_seconds),
        ("desired_instances", "Instances that should be there.", lambda one: one.desired_instances),
    )
    for kind, read in ((Kind.COUNTER, counted), (Kind.GAUGE, now)):
        for name, help, value in read:
            samples = tuple(Sample(value(one), _service_labels(one)) for one in views)
            yield Family(f"hydra_box_service_{name}", kind, help, samples)
    states = (
        Sample(
            sum(instance.state is state for instance in one.instances),
            {**_service_labels(one), "state": state.value},
        )
        for one in views
        for state in InstanceState
    )
    yield _gauge("hydra_box_service_instances", "Instances by state.", *states)
    statuses = (Sample(1, {**_service_labels(one), "status": one.status.value}) for one in views)
    yield _gauge("hydra_box_service_status", "What each service is doing.", *statuses)
    yield from _instance_families(views)


def _instance_families(views: Sequence[ServiceView]) -> Iterator[Family]:
    every = [(view, one) for view in views for one in view.instances]
    read: tuple[tuple[str, str, Callable[[InstanceView], Number]], ...] = (
        ("requests_in_flight", "Requests being answered.", lambda one: one.requests_in_flight),
        ("slots", "Requests that it can answer at once.", lambda one: one.slots),
        ("restarts", "How often its process was started again.", lambda one: one.restarts),
        ("uptime_seconds", "Since its process was started.", lambda one: one.uptime_seconds),
    )
    for name, help, value in read:
        samples = (Sample(value(one), _instance_labels(view, one)) for view, one in every)
        yield _gauge(f"hydra_box_instance_{name}", help, *samples)
    memory = [
        ({**_instance_labels(view, one), "device": measured.device}, measured)
        for view, one in every
        for measured in one.memory
    ]
    yield _gauge(
        "hydra_box_instance_memory_predicted_bytes",
        "What the plan granted it on a device.",
        *(Sample(one.predicted_bytes, labels) for labels, one in memory),
    )
    yield _gauge(
        "hydra_box_instance_memory_measured_bytes",
        "What it really took of a device.",
        *(Sample(one.measured_bytes, labels) for labels, one in memory),
    )


def load_families(
    views: Sequence[ServiceView], loads: Mapping[str, EngineLoad]
) -> Iterator[Family]:
    """What the engines say of themselves; ``loads`` by the id of the instance."""
    every = [
        (_instance_labels(view, one), loads[one.id])
        for view in views
        for one in view.instances
        if one.id in loads
    ]
    read: tuple[tuple[str, str, Callable[[EngineLoad], Number]], ...] = (
        ("sequences_running", "Sequences that its engine works on.", lambda one: one.running),
        ("sequences_waiting", "Requests that wait inside its engine.", lambda one: one.waiting),
        ("kv_cache_used_ratio", "Of its KV cache.", lambda one: one.kv_cache_used_fraction),
    )
    for name, help, value in read:
        samples = (Sample(value(load), labels) for labels, load in every)
        yield _gauge(f"hydra_box_instance_{name}", help, *samples)


def _service_labels(view: ServiceView) -> dict[str, str]:
    return {"service": view.name, "access_name": view.access_name, "engine": view.engine.value}


def _instance_labels(view: ServiceView, instance: InstanceView) -> dict[str, str]:
    # Not "instance": that label is Prometheus' own, for whom it asks.
    return {"service": view.name, "instance_id": instance.id, "device": instance.device}


def _gauge(name: str, help: str, *samples: Sample) -> Family:
    return Family(name, Kind.GAUGE, help, samples)
