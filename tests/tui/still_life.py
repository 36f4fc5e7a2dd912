"""A busy box that never changes: what the snapshots show. Real decisions, invented traffic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from hydra_box.messages import (
    Attention,
    BoxStatus,
    DownloadView,
    InstanceView,
    KeyView,
    ModelView,
    PlanView,
    ServiceHistory,
    ServiceSample,
    ServiceStats,
    ServicesUpdate,
    ServiceView,
    StoredModelView,
    UsageBy,
    UsagePer,
    UsageReport,
    UsageRow,
    UsageTotals,
)
from hydra_box.types import (
    Accelerator,
    DownloadState,
    EngineName,
    Event,
    Hosting,
    InstanceState,
    KeyLimits,
    Machine,
    MeasuredMemory,
    Modality,
    ModelFile,
    Runtime,
    RuntimeSource,
    Scope,
    ServiceStatus,
    Severity,
    StoredAs,
    Transfer,
    WeightFormat,
)
from tests.cli.plans import LLAMA, QWEN, a_plan
from tests.machines import GIB, two_rtx_3090_one_half_occupied

NOW = 1_790_000_000.0
"""When every picture is taken: 2026-09-21, 14:13:20 UTC."""
USER = "u-1100a15812cc"
URL = "http://127.0.0.1:4937"

_HALF, _FREE = two_rtx_3090_one_half_occupied().gpus
GPUS = (_HALF.uuid, _FREE.uuid)


def machine() -> Machine:
    """Two RTX 3090, one of them half occupied by somebody else."""
    found = two_rtx_3090_one_half_occupied()
    busy = [
        msgspec.structs.replace(
            one,
            utilization_percent=37 + 41 * index,
            temperature_celsius=58 + 7 * index,
            power_watts=187.0 + 60 * index,
            power_limit_watts=350.0,
            free_bytes=one.free_bytes - (12 * GIB, 6 * GIB)[index],
        )
        for index, one in enumerate(found.gpus)
    ]
    return msgspec.structs.replace(found, gpus=tuple(busy), cpu_percent=12.0)


def instance(service: str, number: int, **changes: Any) -> InstanceView:
    """A ready instance on the first GPU."""
    values: dict[str, Any] = {
        "id": f"{service}-0000000{number}",
        "pid": 4000 + number,
        "state": InstanceState.READY,
        "device": GPUS[0],
        "restarts": 0,
        "requests_in_flight": 1,
        "slots": 8,
        "runtime": "llama.cpp/built-0.3.36-cuda",
        "uptime_seconds": 3725.0 * number,
        "memory": (_took(GPUS[0]),),
        "reason": None,
    }
    return InstanceView(**values | changes)


def _took(device: str) -> MeasuredMemory:
    return MeasuredMemory(
        device=device, predicted_bytes=int(5.9 * GIB), measured_bytes=int(5.7 * GIB)
    )


def service(name: str, **changes: Any) -> ServiceView:
    """A service that runs, with two instances."""
    values: dict[str, Any] = {
        "id": f"svc-{name}",
        "name": name,
        "access_name": f"{USER}/{name}",
        "owner_id": USER,
        "owner_name": "local",
        "public": False,
        "status": ServiceStatus.RUNNING,
        "base_model": "qwen3-8b",
        "engine": EngineName.LLAMA_CPP,
        "quantization": "Q4_K_M",
        "context_length": 8192,
        "slots": 8,
        "desired_instances": 2,
        "ready_instances": 2,
        "instances": (instance(name, 1), instance(name, 2)),
        "created_at": NOW - 90_000,
        "stats": ServiceStats(
            requests=1482,
            requests_in_flight=3,
            prompt_tokens=912_000,
            completion_tokens=201_000,
            last_ttft_seconds=0.084,
            tokens_per_second=142.0,
        ),
    }
    return ServiceView(**values | changes)


def services() -> tuple[ServiceView, ...]:
    """One of each status, by name."""
    idle = ServiceStats()
    return (
        service("chat"),
        service(
            "coder",
            status=ServiceStatus.SCALING,
            base_model="qwen2.5-coder-32b",
            engine=EngineName.VLLM,
            quantization="AWQ",
            ready_instances=1,
            instances=(
                instance(
                    "coder",
                    1,
                    device=GPUS[1],
                    requests_in_flight=8,
                    memory=(_took(GPUS[1]),),
                    runtime="vllm/built-0.13.0-cuda",
                ),
                instance(
                    "coder",
                    2,
                    device=GPUS[1],
                    state=InstanceState.STARTING,
                    uptime_seconds=None,
                    memory=(),
                    requests_in_flight=0,
                ),
            ),
            progress="starting: loading weights, 62 %",
            eta_seconds=41.0,
            stats=ServiceStats(
                requests=77, requests_in_flight=8, requests_queued=3, tokens_per_second=38.4
            ),
        ),
        service(
            "draft",
            status=ServiceStatus.FAILED,
            desired_instances=1,
            ready_instances=0,
            instances=(
                instance(
                    "draft",
                    1,
                    state=InstanceState.FAILED,
                    pid=None,
                    uptime_seconds=None,
                    memory=(),
                    requests_in_flight=0,
                    device="",
                ),
            ),
            reason="not enough GPU memory: needs 9.1 GiB, 7.2 GiB free; "
            "hint: 4,096 tokens of context would fit",
            stats=idle,
        ),
        service(
            "eyes",
            status=ServiceStatus.DEPLOYING,
            modality=Modality.VISION,
            base_model="gemma-3-4b",
            desired_instances=1,
            ready_instances=0,
            instances=(),
            download=download(DownloadState.DOWNLOADING),
            stats=idle,
        ),
        service(
            "notes",
            public=True,
            access_name="public/notes",
            base_model="demo",
            context_length=2048,
            desired_instances=1,
            ready_instances=1,
            instances=(instance("notes", 1, device="cpu", memory=(), requests_in_flight=0),),
            stats=ServiceStats(requests=12, last_ttft_seconds=0.012),
        ),
        service(
            "old",
            status=ServiceStatus.STOPPED,
            desired_instances=1,
            ready_instances=0,
            instances=(),
            stats=idle,
        ),
    )


def busy_seconds(number: int = 12) -> Iterator[ServicesUpdate]:
    """What was told in the seconds before: traffic that comes and goes."""
    for second in range(number):
        speed = 80 + 60 * math.sin(second)
        changed = tuple(
            msgspec.structs.replace(
                view, stats=msgspec.structs.replace(view.stats, tokens_per_second=speed / part)
            )
            for part, view in enumerate(services()[:2], 1)
        )
        yield ServicesUpdate(at=NOW - number + second, changed=changed)


def attention() -> tuple[Attention, ...]:
    """Why a person should look."""
    return (
        Attention(
            message="draft is FAILED: not enough GPU memory: needs 9.1 GiB, 7.2 GiB free",
            hint="hydra-box logs draft",
            service_name="draft",
        ),
    )


def status() -> BoxStatus:
    """The box."""
    return BoxStatus(
        version="0.1.0",
        pid=4242,
        url=URL,
        started_at=NOW - 200_000,
        state_directory="/var/lib/hydra-box",
        user_id=USER,
        runtimes={"llama.cpp": "llama.cpp/built-0.3.36-cuda"},
        services=services(),
        attention=attention(),
    )


def download(state: DownloadState, **changes: Any) -> DownloadView:
    """A download of one file, a third of it here."""
    values: dict[str, Any] = {
        "id": f"dl-{state}",
        "model": "hf:google/gemma-3-4b-it-GGUF:Q4_K_M",
        "repository": "google/gemma-3-4b-it-GGUF",
        "revision": "a" * 40,
        "format": WeightFormat.GGUF,
        "quantization": "Q4_K_M",
        "state": state,
        "files": (ModelFile(name="gemma-3-4b-it-Q4_K_M.gguf", size_bytes=3 * GIB),),
        "transfer": Transfer(
            done_bytes=GIB,
            total_bytes=3 * GIB,
            bytes_per_second=41.0 * (1 << 20),
            remaining_seconds=51.0,
        ),
        "created_at": NOW - 120,
        "finished_at": None,
        "reason": None,
        "services": ("eyes",),
    }
    return DownloadView(**values | changes)


def downloads() -> tuple[DownloadView, ...]:
    """One that moves and one that has failed."""
    still = Transfer(done_bytes=2 * GIB, total_bytes=9 * GIB)
    return (
        download(DownloadState.DOWNLOADING),
        download(
            DownloadState.FAILED,
            model="hf:Qwen/Qwen3-14B-GGUF:Q4_K_M",
            repository="Qwen/Qwen3-14B-GGUF",
            transfer=still,
            services=(),
            reason="the hub closed the connection 5 times; hint: resume goes on from there",
        ),
    )


def library() -> tuple[StoredModelView, ...]:
    """Two models on the disk."""

    def stored(name: str, gib: float, stored_as: StoredAs, *used_by: str) -> StoredModelView:
        return StoredModelView(
            id=f"mdl-{name}",
            name=name,
            stored_as=stored_as,
            path=f"/var/lib/hydra-box/models/{name.rpartition('/')[2]}.gguf",
            format=WeightFormat.GGUF,
            quantization="Q4_K_M",
            repository=name.removeprefix("hf:").partition(":")[0],
            revision="b" * 40,
            files=(ModelFile(name="model.gguf", size_bytes=int(gib * GIB), digest="c" * 64),),
            size_bytes=int(gib * GIB),
            allows_code=False,
            added_at=NOW - 300_000,
            verified_at=NOW - 299_000,
            last_used_at=NOW - 3600 if used_by else None,
            problem=None,
            services=used_by,
        )

    return (
        stored("hf:Qwen/Qwen3-8B-GGUF:Q4_K_M", 4.7, StoredAs.HUB, "chat"),
        stored("my-tune", 2.1, StoredAs.REFERENCE),
    )


def models() -> tuple[ModelView, ...]:
    """A short catalog."""

    def model(id: str, billions: float, *, fits: bool, reason: str, **changes: Any) -> ModelView:
        values: dict[str, Any] = {
            "id": id,
            "name": id.replace("-", " ").title(),
            "modality": Modality.TEXT,
            "parameters": int(billions * 1e9),
            "active_parameters": None,
            "context_length": 40_960,
            "publisher": "Qwen",
            "license": "apache-2.0",
            "gated": False,
            "description": "A model.",
            "tags": (),
            "hosting": (Hosting.MODEL_SERVICE,),
            "price_per_million_input_tokens": None,
            "price_per_million_output_tokens": None,
            "minimum_versions": {},
            "repositories": (f"Qwen/{id}-GGUF",),
            "quantizations": ("Q4_K_M", "Q8_0"),
            "on_disk": id == "demo",
            "fits": fits,
            "engine": EngineName.LLAMA_CPP if fits else None,
            "quantization": "Q4_K_M" if fits else None,
            "device": GPUS[1] if fits else None,
            "planned_context_length": 40_960 if fits else None,
            "reason": reason,
            "services": ("chat",) if id == "qwen3-8b" else (),
        }
        return ModelView(**values | changes)

    return (
        model("demo", 0.001, fits=True, reason="it fits on GPU 1 (RTX 3090)"),
        model("gemma-3-4b", 4.3, fits=True, reason="it fits on GPU 1", modality=Modality.VISION),
        model("qwen3-8b", 8.2, fits=True, reason="it fits on GPU 1 (RTX 3090)"),
        model("deepseek-r1", 671, fits=False, reason="needs 404.5 GiB; 35.1 GiB are free"),
    )


def plan(*, fits: bool) -> PlanView:
    """A real decision on this machine."""
    found = two_rtx_3090_one_half_occupied()
    if fits:
        return a_plan("qwen3-8b", QWEN, found, instances=1)
    return a_plan("deepseek-r1", LLAMA, found, instances=3)


def keys() -> tuple[KeyView, ...]:
    """One of each kind."""

    def key(name: str, **changes: Any) -> KeyView:
        values: dict[str, Any] = {
            "id": f"key-{name}",
            "name": name,
            "owner_id": USER,
            "owner_name": "local",
            "masked": "hb-Q...x7Wk",
            "scopes": (Scope.INFERENCE,),
            "created_at": NOW - 86_400 * 20,
            "last_used_at": NOW - 42,
            "revoked_at": None,
        }
        return KeyView(**values | changes)

    return (
        key("laptop"),
        key(
            "class",
            expires_at=NOW + 86_400 * 30,
            models=("public/*",),
            limits=KeyLimits(requests_per_minute=60, tokens_per_minute=20_000),
        ),
        key("ops", scopes=(Scope.INFERENCE, Scope.ADMIN), last_used_at=None),
        key("trip", expires_at=NOW - 86_400),
        key("old", revoked_at=NOW - 86_400 * 3),
    )


def usage(by: UsageBy, per: UsagePer) -> UsageReport:
    """Two weeks with quiet week-ends."""
    day = 86_400.0
    start = NOW - NOW % day - 13 * day
    names = ("chat", "coder") if by is UsageBy.MODEL else ("laptop", "class")
    rows = tuple(
        UsageRow(
            at=start + at * day,
            name=f"{USER}/{name}" if by is UsageBy.MODEL else name,
            id=f"id-{name}",
            requests=(120 - 100 * (at % 7 in (4, 5))) // (1 + index),
            failed_requests=at % 3,
            prompt_tokens=(90_000 - 70_000 * (at % 7 in (4, 5))) // (1 + index),
            completion_tokens=(30_000 - 24_000 * (at % 7 in (4, 5))) // (1 + index),
        )
        for at in range(14)
        for index, name in enumerate(names)
    )
    fields = ("requests", "failed_requests", "prompt_tokens", "completion_tokens")
    totals = {name: sum(getattr(row, name) for row in rows) for name in fields}
    return UsageReport(
        by=by, per=per, since=start, until=NOW, rows=rows, totals=UsageTotals(**totals)
    )


def runtimes() -> tuple[Runtime, ...]:
    """One that works, and one that does not."""

    def runtime(id: str, engine: EngineName, **changes: Any) -> Runtime:
        values: dict[str, Any] = {
            "id": id,
            "engine": engine,
            "version": "0.3.36",
            "accelerator": Accelerator.CUDA,
            "source": RuntimeSource.BUILT,
            "location": f"/var/lib/hydra-box/engines/{id}",
            "argv": ("llama-server",),
            "verified_at": NOW - 5000,
        }
        return Runtime(**values | changes)

    return (
        runtime("llama.cpp/built-0.3.36-cuda", EngineName.LLAMA_CPP, pinned=True),
        runtime(
            "llama.cpp/bundled-2026.10.11549-cpu",
            EngineName.LLAMA_CPP,
            version="2026.10.11549",
            accelerator=Accelerator.CPU,
            source=RuntimeSource.BUNDLED,
        ),
        runtime(
            "vllm/built-0.13.0-cuda",
            EngineName.VLLM,
            version="0.13.0",
            verified_at=None,
            problem="it ended before it was ready: no kernel image is available for this GPU; "
            "hint: hydra-box engines install vllm builds one for it",
        ),
    )


def history() -> ServiceHistory:
    """An hour with one wave of traffic."""
    samples = tuple(
        ServiceSample(
            at=NOW - 10 * (359 - number),
            tokens_per_second=100 + 90 * math.sin(number / 40),
            requests=5 + number % 4,
            ttft_seconds=0.08 + 0.04 * (number % 5),
            requests_in_flight=2 + number % 3,
            requests_queued=number // 340,
            memory_bytes=int(11.4 * GIB),
        )
        for number in range(360)
    )
    return ServiceHistory(interval_seconds=10.0, samples=samples)


def events() -> tuple[Event, ...]:
    """What happened to ``chat``."""
    told = (
        ("chat is to serve qwen3-8b", Severity.INFO),
        ("chat-00000001 is ready (pid 4001, GPU 1)", Severity.INFO),
        ("chat-00000002 exited: killed by SIGKILL; it is started again", Severity.WARNING),
        ("chat-00000002 is ready (pid 4002, GPU 1)", Severity.INFO),
        ("chat is RUNNING", Severity.INFO),
    )
    return tuple(
        Event(
            id=number,
            at=NOW - 3000 + 60 * number,
            kind="service.changed",
            message=message,
            severity=severity,
            service_id="svc-chat",
            service_name="chat",
        )
        for number, (message, severity) in enumerate(told, 1)
    )


LOG = (
    "0.00.442.156 I srv  load_model: loading model",
    "0.03.118.002 I srv  load_model: 37 of 37 layers on CUDA0",
    "0.03.120.411 W srv  init: the chat template has no tool support",
    "0.03.121.009 I srv  update_slots: all slots are idle",
    "0.09.774.310 I slot launch_slot_: id  2 | task 2 | processing task",
    "0.09.901.245 I slot print_timing: id  2 | task 2 | 142.3 tokens per second",
)
