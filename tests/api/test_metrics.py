"""The box in numbers, as Prometheus reads them."""

from __future__ import annotations

import math
import re

import httpx
import msgspec
import pytest

from api.metrics import load_families, machine_families, service_families
from api.prometheus import MEDIA_TYPE, Family, Kind, Sample, render
from hydra_box.engines.base import EngineLoad
from hydra_box.messages import InstanceView, ServiceStats
from hydra_box.types import GpuCondition, GpuLoss, InstanceState, Machine, MeasuredMemory
from tests.api.live import LiveBox
from tests.cli.fake_box import a_service_view
from tests.conftest import DemoBox
from tests.fakes.nvml_machine import mig_slices
from tests.machines import cpu_only, one_rtx_4090, two_rtx_3090_one_half_occupied
from tests.waiting import eventually

LINE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r'(?P<labels>\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})?'
    r" (?P<value>-?[0-9.e+-]+|NaN|[+-]Inf)"
)


def numbers(text: str) -> dict[str, float]:
    """The value of each name with its labels; fails where the format is not as documented."""
    found: dict[str, float] = {}
    declared: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# "):
            word, name, _ = line[2:].split(" ", 2)
            assert word in ("HELP", "TYPE")
            assert word == "TYPE" or name not in declared, "each name is told in one place"
            declared.add(name)
            continue
        match = LINE.fullmatch(line)
        assert match, line
        assert match["name"] in declared
        assert line.rpartition(" ")[0] not in found, line
        found[line.rpartition(" ")[0]] = float(match["value"])
    assert text.endswith("\n")
    return found


def test_text_is_as_the_format_has_it() -> None:
    family = Family(
        "a_total",
        Kind.COUNTER,
        "A \\ and\na line.",
        (
            Sample(1, {"name": 'a "quoted" \\ path\nand a line'}),
            Sample(2.5),
            Sample(None, {"left": "out"}),
        ),
    )
    assert render([family]) == (
        "# HELP a_total A \\\\ and\\na line.\n"
        "# TYPE a_total counter\n"
        'a_total{name="a \\"quoted\\" \\\\ path\\nand a line"} 1\n'
        "a_total 2.5\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (2**53 + 1, "9007199254740993"),
        (143771 * 2**20, "150754820096"),
        (0.1, "0.1"),
        (1e-9, "1e-09"),
        (1700000000.25, "1700000000.25"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_are_exact(value: float, text: str) -> None:
    assert render([Family("a", Kind.GAUGE, "A.", (Sample(value),))]).endswith(f"a {text}\n")


def test_family_without_a_number_is_left_out() -> None:
    assert render([Family("a", Kind.GAUGE, "A.", (Sample(None),))]) == ""


def test_machine_with_two_gpus() -> None:
    machine = two_rtx_3090_one_half_occupied()
    found = numbers(render(machine_families(machine)))
    second = machine.gpus[1]
    labels = f'{{gpu="1",uuid="{second.uuid}",name="NVIDIA GeForce RTX 3090"}}'
    assert found[f"hydra_box_gpu_memory_total_bytes{labels}"] == second.total_bytes
    assert found[f"hydra_box_gpu_memory_free_bytes{labels}"] == second.free_bytes
    assert found[f"hydra_box_gpu_utilization_ratio{labels}"] == 0
    assert found[f"hydra_box_gpu_temperature_celsius{labels}"] == 40
    assert found[f"hydra_box_gpu_power_watts{labels}"] == 30
    assert found[f"hydra_box_gpu_power_limit_watts{labels}"] == 300
    assert found[f"hydra_box_gpu_processes{labels}"] == 1
    assert found["hydra_box_ram_available_bytes"] == machine.ram_available_bytes
    assert "hydra_box_cpu_utilization_ratio" not in found, "a single look has none"
    busy = msgspec.structs.replace(machine, cpu_percent=37.5)
    assert numbers(render(machine_families(busy)))["hydra_box_cpu_utilization_ratio"] == 0.375


def test_mig_instances_have_their_profile_and_only_their_readings() -> None:
    found = numbers(render(machine_families(mig_slices())))
    profiles = [name for name in found if 'mig_profile="4g.71gb"' in name]
    assert {name.partition("{")[0] for name in profiles} == {
        "hydra_box_gpu_memory_total_bytes",
        "hydra_box_gpu_memory_free_bytes",
        "hydra_box_gpu_temperature_celsius",
        "hydra_box_gpu_processes",
    }


def test_lost_gpu_can_be_alarmed_on() -> None:
    loss = GpuLoss(index=1, uuid="GPU-1", condition=GpuCondition.GPU_LOST, message="gone")
    machine = msgspec.structs.replace(one_rtx_4090(), lost_gpus=(loss,))
    found = numbers(render(machine_families(machine)))
    assert found['hydra_box_gpu_lost{gpu="1",uuid="GPU-1",condition="gpu-lost"}'] == 1
    assert not any("gpu_lost" in name for name in numbers(render(machine_families(cpu_only()))))


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
        memory=(MeasuredMemory(device="GPU-1", predicted_bytes=1000, measured_bytes=990),),
        reason=None,
    )


def test_services_and_their_instances() -> None:
    stats = ServiceStats(
        requests=9,
        requests_in_flight=3,
        requests_queued=2,
        prompt_tokens=100,
        completion_tokens=50,
        last_ttft_seconds=0.25,
    )
    view = a_service_view("a", stats=stats, instances=(an_instance(),))
    found = numbers(render(service_families((view,))))
    labels = f'service="a",access_name="{view.access_name}",engine="{view.engine}"'
    assert found[f"hydra_box_service_requests_total{{{labels}}}"] == 9
    assert found[f"hydra_box_service_requests_in_flight{{{labels}}}"] == 3
    assert found[f"hydra_box_service_requests_queued{{{labels}}}"] == 2
    assert found[f"hydra_box_service_prompt_tokens_total{{{labels}}}"] == 100
    assert found[f"hydra_box_service_completion_tokens_total{{{labels}}}"] == 50
    assert found[f"hydra_box_service_last_ttft_seconds{{{labels}}}"] == 0.25
    assert found[f'hydra_box_service_instances{{{labels},state="ready"}}'] == 1
    assert found[f'hydra_box_service_instances{{{labels},state="failed"}}'] == 0
    assert found[f'hydra_box_service_status{{{labels},status="{view.status}"}}'] == 1
    one = '{service="a",instance_id="a-00000001",device="GPU-1"}'
    assert found[f"hydra_box_instance_requests_in_flight{one}"] == 3
    assert found[f"hydra_box_instance_slots{one}"] == 4
    assert found[f"hydra_box_instance_restarts{one}"] == 2
    assert found[f"hydra_box_instance_uptime_seconds{one}"] == 60.5
    assert found[f"hydra_box_instance_memory_predicted_bytes{one}"] == 1000
    assert found[f"hydra_box_instance_memory_measured_bytes{one}"] == 990


def test_what_engines_say_of_themselves() -> None:
    view = a_service_view("a", instances=(an_instance(),))
    loads = {"a-00000001": EngineLoad(running=2, waiting=1, kv_cache_used_fraction=0.25)}
    found = numbers(render(load_families((view,), loads)))
    one = '{service="a",instance_id="a-00000001",device="GPU-1"}'
    assert found == {
        f"hydra_box_instance_sequences_running{one}": 2,
        f"hydra_box_instance_sequences_waiting{one}": 1,
        f"hydra_box_instance_kv_cache_used_ratio{one}": 0.25,
    }
    assert render(load_families((view,), {})) == ""


def test_real_engines_are_asked(box: DemoBox) -> None:
    headers = {"Authorization": f"Bearer {box.admin_key}"}
    found = numbers(httpx.get(f"{box.url}/metrics", headers=headers).text)
    (instance,) = box.running.client.service("demo").instances
    one = f'{{service="demo",instance_id="{instance.id}",device="cpu"}}'
    assert found[f"hydra_box_instance_sequences_waiting{one}"] == 0
    assert 0 <= found[f"hydra_box_instance_kv_cache_used_ratio{one}"] <= 1


def test_box_without_services() -> None:
    assert render(service_families(())) == ""


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
    found = numbers(answer.text)
    assert found["hydra_box_start_time_seconds"] == pytest.approx(live.box.started_at)
    assert found["hydra_box_ram_total_bytes"] > 0
    transport = httpx.HTTPTransport(uds=str(live.box.paths.management_socket))
    with httpx.Client(transport=transport, base_url="http://box") as owner:
        assert owner.get("/metrics").status_code == 200


def test_machine_now_and_from_now_on(live: LiveBox, admin: httpx.Client) -> None:
    found = msgspec.json.decode(admin.get("/api/v1/machine").content, type=Machine)
    assert found.cpu_model == live.box.sampler.latest().cpu_model


def test_samples_are_told_as_they_are_taken(live: LiveBox, admin: httpx.Client) -> None:
    with admin.stream("GET", "/api/v1/machine/live") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        eventually(lambda: bool(live.box.sampler._watchers), what="it is subscribed")
        live.run(live.box.sampler.fresh())
        lines = answer.iter_lines()
        data = next(line for line in lines if line)
        assert msgspec.json.decode(data.removeprefix("data: "), type=Machine).cpu_model
    eventually(lambda: not live.box.sampler._watchers, what="the subscription has ended")
