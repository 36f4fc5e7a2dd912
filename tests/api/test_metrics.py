"""The box in numbers, as Prometheus reads them: one family after the other, then over HTTP."""

from __future__ import annotations

from collections.abc import Iterable

import httpx
import msgspec
import pytest

from api.metrics.engines import engine_families
from api.metrics.instances import instance_families
from api.metrics.keys import key_families
from api.metrics.requests import request_families
from api.metrics.services import service_families
from api.metrics.upstreams import upstream_families
from api.prometheus import MEDIA_TYPE, Family, render
from hydra_box.engines.metrics import EngineMetrics
from hydra_box.gateway.measures import Measures
from hydra_box.messages import InstanceView, ServiceStats, UpstreamView
from hydra_box.types import (
    NANOS,
    Histogram,
    InstanceState,
    MeasuredMemory,
    Outcome,
)
from tests.api.live import LiveBox
from tests.cli.fake_box import a_service_view
from tests.exposition import Page, read
from tests.test_measures import a_record


def page(families: Iterable[Family]) -> Page:
    return read(render(families))


def an_instance() -> InstanceView:
    return InstanceView(
        id="a-00000001",
        pid=1,
        state=InstanceState.READY,
        device="GPU-1",
        restarts=2,
        requests_in_flight=3,
        slots=4,
        runtime=None,
        uptime_seconds=60.5,
        memory=(
            MeasuredMemory(device="GPU-1", predicted_bytes=1000, measured_bytes=990),
            MeasuredMemory(device="GPU-2", predicted_bytes=500, measured_bytes=510),
        ),
        reason=None,
    )


def test_services_as_they_are_now() -> None:
    stats = ServiceStats(
        requests=9, requests_in_flight=3, requests_queued=2, last_ttft_seconds=0.25
    )
    view = a_service_view("a", stats=stats, instances=(an_instance(),), asleep=True)
    found = page(service_families((view,)))

    def of_service(name: str, **more: str) -> float:
        labels = {"service": "a", "access_name": view.access_name, "engine": view.engine.value}
        return found.value(f"hydra_box_service_{name}", **labels, **more)

    assert of_service("requests_total") == 9
    assert of_service("requests_in_flight") == 3
    assert of_service("requests_queued") == 2
    assert of_service("last_ttft_seconds") == 0.25
    assert of_service("desired_instances") == 1
    assert of_service("ready_instances") == 1
    assert of_service("asleep") == 1
    assert of_service("instances", state="ready") == 1
    assert of_service("instances", state="failed") == 0
    assert of_service("status", status=view.status.value) == 1


def test_instances_and_their_memory_on_each_device() -> None:
    view = a_service_view("a", instances=(an_instance(),))
    found = page(instance_families((view,)))
    one = {"service": "a", "instance_id": "a-00000001", "device": "GPU-1"}
    assert found.value("hydra_box_instance_requests_in_flight", **one) == 3
    assert found.value("hydra_box_instance_slots", **one) == 4
    assert found.value("hydra_box_instance_restarts", **one) == 2
    assert found.value("hydra_box_instance_uptime_seconds", **one) == 60.5
    for name, first, second in (("predicted", 1000, 500), ("measured", 990, 510)):
        family = f"hydra_box_instance_memory_{name}_bytes"
        assert found.value(family, **one) == first
        assert found.value(family, **{**one, "device": "GPU-2"}) == second


def test_requests_tokens_costs_and_times() -> None:
    measures = Measures()
    measures.record(a_record(ttft_seconds=0.004, tpot_seconds=0.02, cost_nanos=2 * NANOS))
    measures.add_energy((a_record(),), {"req-1": 1500})
    measures.record(a_record(outcome=Outcome.CLIENT_GONE, estimated=True))
    measures.record(a_record(outcome=Outcome.REFUSED, endpoint="reranking", prompt_tokens=0))
    view = a_service_view("a")
    found = page(request_families((view,), {view.id: measures.of(view.id)}))

    def of_service(name: str, **more: str) -> float:
        labels = {"service": "a", "access_name": view.access_name, "engine": view.engine.value}
        return found.value(f"hydra_box_service_{name}", **labels, **more)

    finished = "requests_finished_total"
    assert of_service(finished, endpoint="chat/completions", outcome="ok") == 1
    assert of_service(finished, endpoint="chat/completions", outcome="client_gone") == 1
    assert of_service(finished, endpoint="chat/completions", outcome="engine_error") == 0
    assert of_service(finished, endpoint="embeddings", outcome="ok") == 0
    assert of_service(finished, endpoint="reranking", outcome="refused") == 1
    assert of_service("prompt_tokens_total") == 20
    assert of_service("cached_tokens_total") == 12
    assert of_service("completion_tokens_total") == 15
    assert of_service("reasoning_tokens_total") == 6
    assert of_service("estimated_tokens_total") == 15
    assert of_service("cost_total") == 2 + 1400 / NANOS
    assert of_service("energy_joules_total") == 1.5
    assert of_service("ttft_seconds_bucket", le="0.005") == 1
    assert of_service("tpot_seconds_bucket", le="0.015") == 0
    assert of_service("tpot_seconds_sum") == 0.02
    assert of_service("request_duration_seconds_count") == 2


def test_service_that_nobody_called_has_all_its_series() -> None:
    view = a_service_view("a")
    found = page(request_families((view,), {view.id: Measures().of(view.id)}))
    assert len(found.values("hydra_box_service_requests_finished_total")) == 12
    assert found.value("hydra_box_service_ttft_seconds_count") == 0
    assert found.value("hydra_box_service_prompt_tokens_total") == 0
    assert "hydra_box_service_energy_joules_total" not in found.names(), "that is not known"


def test_upstreams() -> None:
    upstream = UpstreamView(
        id="up-0123456789ab",
        base_url="https://api.example.com/v1",
        model="big",
        weight=1.0,
        most_requests=64,
        allows_private=False,
        has_key=True,
        healthy=False,
        checked_at=None,
        reason="it does not answer",
        requests_in_flight=5,
        created_at=1.0,
    )
    found = page(upstream_families((a_service_view("a", upstreams=(upstream,)),)))
    one = {"service": "a", "upstream_id": upstream.id, "base_url": upstream.base_url}
    assert found.value("hydra_box_upstream_healthy", **one) == 0
    assert found.value("hydra_box_upstream_requests_in_flight", **one) == 5
    assert found.value("hydra_box_upstream_most_requests", **one) == 64


def test_what_engines_say_of_themselves() -> None:
    view = a_service_view("a", instances=(an_instance(),))
    told = EngineMetrics(
        running=2,
        waiting=1,
        kv_cache_used_ratio=0.25,
        prompt_tokens=70,
        ttft_seconds=Histogram(bounds=(1.0,), counts=(2, 1), sum=3.0),
    )
    found = page(engine_families((view,), {"a-00000001": told}))
    one = {"service": "a", "instance_id": "a-00000001", "engine": "llama.cpp"}
    assert found.value("hydra_box_engine_up", **one) == 1
    assert found.value("hydra_box_engine_requests_running", **one) == 2
    assert found.value("hydra_box_engine_requests_waiting", **one) == 1
    assert found.value("hydra_box_engine_kv_cache_used_ratio", **one) == 0.25
    assert found.value("hydra_box_engine_prompt_tokens_total", **one) == 70
    assert found.value("hydra_box_engine_ttft_seconds_count", **one) == 3
    assert "hydra_box_engine_preemptions_total" not in found.names()
    instance = {"service": "a", "instance_id": "a-00000001", "device": "GPU-1"}
    assert found.value("hydra_box_instance_sequences_running", **instance) == 2
    assert found.value("hydra_box_instance_sequences_waiting", **instance) == 1
    assert found.value("hydra_box_instance_kv_cache_used_ratio", **instance) == 0.25


def test_engine_that_does_not_answer_has_nothing_else() -> None:
    view = a_service_view("a", instances=(an_instance(),))
    found = page(engine_families((view,), {"a-00000001": None}))
    assert found.names() == {"hydra_box_engine_up"}
    assert found.value("hydra_box_engine_up", instance_id="a-00000001") == 0


def test_instance_that_is_not_ready_has_no_engine_to_ask() -> None:
    view = a_service_view("a", instances=(an_instance(),))
    assert render(engine_families((view,), {})) == ""


def test_keys_and_the_sum_of_those_that_are_not_told_apart() -> None:
    measures = Measures(most_keys=1)
    measures.record(a_record())
    measures.record(a_record(key_id="key-2"))
    measures.record(a_record(key_id="key-3", outcome=Outcome.REFUSED))
    found = page(key_families(measures.by_key()))
    one = {"key_id": "key-1", "key": "app", "user": "ada"}
    assert found.value("hydra_box_key_requests_finished_total", outcome="ok", **one) == 1
    assert found.value("hydra_box_key_prompt_tokens_total", **one) == 10
    assert found.value("hydra_box_key_cost_total", **one) == 700 / NANOS
    other = {"key_id": "other", "key": "", "user": ""}
    assert found.total("hydra_box_key_requests_finished_total", **other) == 2
    assert found.value("hydra_box_key_completion_tokens_total", **other) == 10


def test_box_without_anything_has_no_family_of_it() -> None:
    for families in (service_families, instance_families, upstream_families):
        assert render(families(())) == ""
    assert render(request_families((), {})) == ""
    assert render(key_families(())) == ""


# --- over HTTP ----------------------------------------------------------------


def test_it_takes_an_admin_key_over_tcp_and_none_on_the_socket(
    live: LiveBox, tcp: httpx.Client, admin: httpx.Client, inference_key: str
) -> None:
    assert tcp.get("/metrics").status_code == 401
    headers = {"Authorization": f"Bearer {inference_key}"}
    assert tcp.get("/metrics", headers=headers).status_code == 403
    answer = admin.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{MEDIA_TYPE}; charset=utf-8"
    found = read(answer.text)
    assert found.value("hydra_box_start_time_seconds") == pytest.approx(live.box.started_at)
    assert found.value("hydra_box_ram_total_bytes") > 0
    transport = httpx.HTTPTransport(uds=str(live.box.paths.management_socket))
    with httpx.Client(transport=transport, base_url="http://box", timeout=30) as owner:
        assert owner.get("/metrics").status_code == 200


def test_keys_are_told_when_they_are_asked_for(own: LiveBox) -> None:
    own.box.measures.record(a_record())
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(own.box.paths.management_socket)),
        base_url="http://box",
        timeout=30,
    ) as owner:

        def keys(query: str) -> int:
            found = read(owner.get(f"/metrics{query}").text)
            return len(found.values("hydra_box_key_prompt_tokens_total"))

        assert (keys(""), keys("?keys=true"), keys("?keys=false")) == (0, 1, 0)
        assert owner.get("/metrics?keys=maybe").status_code == 400
        msgspec.structs.force_setattr(own.box.settings, "metrics_per_key", True)
        assert (keys(""), keys("?keys=true"), keys("?keys=false")) == (1, 1, 0)
