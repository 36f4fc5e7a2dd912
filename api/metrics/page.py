"""The page: what is known is gathered on the event loop, and put into words beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from litestar import Response, get
from litestar.params import FromQuery

from api.metrics.engines import engine_families
from api.metrics.events import event_family
from api.metrics.instances import instance_families
from api.metrics.keys import key_families
from api.metrics.machine import machine_families
from api.metrics.requests import refusal_family, request_families
from api.metrics.services import service_families
from api.metrics.upstreams import upstream_families
from api.prometheus import MEDIA_TYPE, Family, Sample, gauge, render
from api.wiring import BoxParam
from hydra_box import __version__
from hydra_box.alarms import Alarm
from hydra_box.engine_metrics import engine_metrics
from hydra_box.engines import ENGINES
from hydra_box.engines.metrics import EngineMetrics
from hydra_box.gateway.measures import KeyMeasures, ServiceMeasures
from hydra_box.messages import ServiceView
from hydra_box.types import Frozen, Machine


class Scraped(Frozen, frozen=True, kw_only=True):
    """All that a page is made of, as it was at one moment."""

    started_at: float
    machine: Machine
    alarms: Sequence[Alarm] = ()
    happened: Mapping[str, int]
    """Events, by kind."""
    views: Sequence[ServiceView]
    measured: Mapping[str, ServiceMeasures]
    """By the service's id."""
    refused: Mapping[str, int]
    """By the error's code, before their service was known."""
    keys: Sequence[KeyMeasures] = ()
    """None: nobody asked for them."""
    engines: Mapping[str, EngineMetrics | None]
    """By the instance's id."""


@get("/metrics", media_type=MEDIA_TYPE)
async def metrics(box: BoxParam, keys: FromQuery[bool | None] = None) -> Response[str]:
    """Machine, GPUs, services, instances, upstreams and engines in Prometheus' text format.

    With ``keys=true`` also what each key used; without it the setting ``metrics_per_key`` says.
    """
    machine = await box.sampler.fresh()
    views = box.services.list()
    box.measures.keep(view.id for view in views)
    told = box.settings.metrics_per_key if keys is None else keys
    scraped = Scraped(
        started_at=box.started_at,
        machine=machine,
        alarms=box.alarms.all(),
        happened=dict(box.events.happened),
        views=views,
        measured={view.id: box.measures.of(view.id) for view in views},
        refused=dict(box.relay.refused),
        keys=box.measures.by_key() if told else (),
        engines=await engine_metrics(views, ENGINES, box.paths),
    )
    # A page of hundreds of instances takes a while, in which requests go on.
    return Response(await asyncio.to_thread(write, scraped), media_type=MEDIA_TYPE)


def write(scraped: Scraped) -> str:
    """The page."""
    return render(_families(scraped))


def _families(scraped: Scraped) -> Iterator[Family]:
    yield gauge("hydra_box_info", "The daemon that answers.", Sample(1, {"version": __version__}))
    yield gauge(
        "hydra_box_start_time_seconds",
        "When the daemon was started, in Unix time.",
        Sample(scraped.started_at),
    )
    yield from machine_families(scraped.machine)
    raised = (Sample(1, {"alarm": one.id, "severity": one.severity}) for one in scraped.alarms)
    yield gauge("hydra_box_alarm", "What is wrong now, and needs attention.", *raised)
    yield event_family(scraped.happened)
    yield from service_families(scraped.views)
    yield from request_families(scraped.views, scraped.measured)
    yield refusal_family(scraped.refused)
    yield from upstream_families(scraped.views)
    yield from instance_families(scraped.views)
    yield from engine_families(scraped.views, scraped.engines)
    yield from key_families(scraped.keys)
