"""What each verb asks of the management API, and how it prints the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hydra_box.cli.asked import absolute
from hydra_box.errors import Conflict, EngineUnavailable, NotFound, StateError, Unauthenticated
from hydra_box.messages import (
    Attention,
    CreatedKey,
    CreateKeyRequest,
    EditRequest,
    InstallProgress,
    KeyView,
)
from hydra_box.types import (
    Accelerator,
    EngineName,
    Gpu,
    GpuCondition,
    Machine,
    Runtime,
    RuntimeSource,
    Scope,
    ServiceStatus,
)
from tests.cli.conftest import Cli
from tests.cli.fake_box import USER, FakeBox, a_service_view, a_status

RUNTIME = Runtime(
    id="llama.cpp/built-1-cpu",
    engine=EngineName.LLAMA_CPP,
    version="1",
    accelerator=Accelerator.CPU,
    source=RuntimeSource.BUILT,
    location="engines/llama.cpp",
    argv=("llama-server",),
    verified_at=100.0,
)
KEY = KeyView(
    id="key-1",
    name="laptop",
    owner_id=USER,
    masked="hb-a...wxyz",
    scopes=(Scope.INFERENCE,),
    created_at=10.0,
    last_used_at=None,
    revoked_at=None,
)
CREATED = CreatedKey(
    key="hb-0123456789",
    id="key-1",
    name="laptop",
    owner_id=USER,
    masked="hb-0...6789",
    scopes=(Scope.INFERENCE, Scope.ADMIN),
    created_at=10.0,
)
GPU = Gpu(
    uuid="GPU-1",
    index=0,
    name="NVIDIA RTX 4090",
    total_bytes=24 << 30,
    free_bytes=22 << 30,
    utilization_percent=3,
    temperature_celsius=41,
    power_watts=22.4,
    compute_capability=(8, 9),
)
MACHINE = Machine(
    cpu_model="A CPU",
    physical_cores=2,
    logical_cores=4,
    ram_total_bytes=8 << 30,
    ram_available_bytes=6 << 30,
    disk_total_bytes=100 << 30,
    disk_free_bytes=50 << 30,
    gpu_condition=GpuCondition.PRESENT,
    gpu_message="1 GPU",
    gpus=(GPU,),
    driver_version="580.1",
    cuda_version="13.0",
)


def plain(value: object) -> Any:
    """As JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(value))


def test_status(ask: Cli, fake: FakeBox) -> None:
    attention = Attention(message="b is FAILED: no memory", hint="hydra-box logs b")
    failed = a_service_view("b", status=ServiceStatus.FAILED, ready_instances=0, instances=())
    box = a_status(services=(a_service_view(), failed), attention=(attention,))
    fake.says("GET /api/v1/status", box)
    shown = ask("status")
    assert shown.status == 0
    assert "Hydra Box 0.1.0 at http://127.0.0.1:4937, pid 4000" in shown.out
    assert "llama.cpp by llama.cpp/bundled-1-cpu" in shown.out
    assert "b     FAILED     0/1  demo   llama.cpp  Q8_0" in shown.out
    assert "a-00000001  ready  4242  cpu     0.05 GiB   0.06 GiB       1/4" in shown.out
    assert "needs attention: b is FAILED: no memory\nhint: hydra-box logs b" in shown.out
    assert ask("status", "--json").json == plain(box)


def test_the_key_goes_with_every_request(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/status", a_status())
    ask("status")
    assert fake.asked[0][1] == "Bearer hb-secret"


def test_address_and_key_come_from_the_environment_too(
    cli: Cli, fake: FakeBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.says("GET /api/v1/status", a_status())
    monkeypatch.setenv("HYDRA_BOX_URL", fake.url)
    monkeypatch.setenv("HYDRA_BOX_API_KEY", "hb-other")
    assert cli("status").status == 0
    assert fake.asked[0][1] == "Bearer hb-other"


def test_gpus(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/machine", MACHINE)
    shown = ask("gpus")
    assert "0  RTX 4090  22.0 GiB  24.0 GiB   3 %  41 °C   22 W" in shown.out
    assert "GPU 0  GPU-1\n  compute capability 8.9" in shown.out
    assert "driver 580.1, CUDA 13.0" in shown.out
    assert "RAM   6.0 GiB available of 8.0 GiB" in shown.out
    assert ask("gpus", "--json").json == plain(MACHINE)


def test_gpus_names_the_condition(ask: Cli, fake: FakeBox) -> None:
    lost = msgspec.structs.replace(
        MACHINE, gpus=(), gpu_condition=GpuCondition.GPU_LOST, gpu_message="GPU 0 fell off the bus"
    )
    fake.says("GET /api/v1/machine", lost)
    assert "GPU: gpu-lost: GPU 0 fell off the bus" in ask("gpus").out


def test_deploy_sends_what_was_asked_for(ask: Cli, fake: FakeBox) -> None:
    fake.says("POST /api/v1/services", a_service_view(status=ServiceStatus.DEPLOYING))
    service = ("--name", "a", "--public")
    size = ("--instances", "2", "--context-length", "512", "--concurrency", "8")
    how = ("--engine", "llama.cpp", "--quantization", "Q8_0", "--cpu")
    terms = ("--user", "anna", "--idle-timeout", "15m", "--priority", "7", "--price-input", "0.5")
    shown = ask("deploy", "demo", *service, *size, *how, *terms, "--price-output", "1")
    assert shown.status == 0
    assert "DEPLOYING" in shown.out
    assert "hydra-box trial a" in shown.err
    (body,) = fake.bodies("POST /api/v1/services")
    assert body == {
        "model": "demo",
        "name": "a",
        "public": True,
        "instances": 2,
        "context_length": 512,
        "concurrency": 8,
        "engine": "llama.cpp",
        "quantization": "Q8_0",
        "device": "cpu",
        "allow_code": False,
        "user": "anna",
        "upstreams": [],
        "idle_timeout_seconds": 900.0,
        "price": {"input_per_million": 0.5, "output_per_million": 1.0},
        "priority": 7,
    }


def test_deploy_json(ask: Cli, fake: FakeBox) -> None:
    view = a_service_view()
    fake.says("POST /api/v1/services", view)
    assert ask("deploy", "demo", "--json").json == plain(view)


def test_a_path_is_made_absolute_for_the_daemon_of_this_machine(tmp_path: Path) -> None:
    assert absolute("demo") == "demo"
    assert absolute("hf:org/name:x.gguf") == "hf:org/name:x.gguf"
    assert absolute("x.gguf") == str(Path.cwd() / "x.gguf")
    assert absolute("dir/x.bin") == str(Path.cwd() / "dir" / "x.bin")
    assert absolute("~/x.gguf") == str(Path.home() / "x.gguf")
    assert absolute(str(tmp_path / "x")) == str(tmp_path / "x")


def test_a_path_for_a_daemon_elsewhere_stays_as_it_is(ask: Cli, fake: FakeBox) -> None:
    fake.says("POST /api/v1/services", a_service_view())
    ask("deploy", "./x.gguf")
    assert fake.bodies("POST /api/v1/services")[0]["model"] == "./x.gguf"


def test_scale(ask: Cli, fake: FakeBox) -> None:
    view = a_service_view(status=ServiceStatus.SCALING, desired_instances=3)
    request = "POST /api/v1/services/a/scale"
    fake.says(request, view)
    assert "SCALING    1/3" in ask("scale", "a", "--instances", "3").out
    assert ask("scale", "a", "--add", "-1", "--json").json == plain(view)
    assert fake.bodies(request) == [
        {"instances": 3, "add": None},
        {"instances": None, "add": -1},
    ]


def test_edit(ask: Cli, fake: FakeBox) -> None:
    view = a_service_view(status=ServiceStatus.SCALING, context_length=512)
    request = "POST /api/v1/services/a/edit"
    fake.says(request, view)
    assert "SCALING" in ask("edit", "a", "--context-length", "512").out
    words = ("--concurrency", "8", "--engine", "vllm", "--quantization", "AWQ", "--device", "auto")
    assert ask("edit", "a", *words, "--json").json == plain(view)
    assert ask("edit", "a", "--idle-timeout", "never").status == 0
    assert ask("edit", "a", "--price-input", "1", "--price-output", "2").status == 0
    assert ask("edit", "a", "--priority", "0").status == 0
    nothing = plain(EditRequest())
    assert fake.bodies(request) == [
        nothing | {"context_length": 512},
        nothing | {"concurrency": 8, "engine": "vllm", "quantization": "AWQ", "device": "auto"},
        nothing | {"idle_timeout_seconds": 0.0},
        nothing | {"price": {"input_per_million": 1.0, "output_per_million": 2.0}},
        nothing | {"priority": 0},
    ]
    no_price = ("--price-input", "nan", "--price-output", "1")
    too_high = ("--priority", "101")
    for half in (("--price-input", "1"), no_price, too_high, ("--idle-timeout", "0s"), ()):
        assert ask("edit", "a", *half).status == 2


def test_edit_waits_until_every_instance_is_replaced(ask: Cli, fake: FakeBox) -> None:
    scaling = a_service_view(status=ServiceStatus.SCALING)
    fake.says("POST /api/v1/services/a/edit", scaling)
    fake.says("GET /api/v1/services/a", scaling, a_service_view())
    shown = ask("edit", "a", "--concurrency", "2", "--wait")
    assert "a is RUNNING: 1 of 1 ready" in shown.err
    assert shown.status == 0
    # What is stopped never comes to run like that by waiting.
    fake.says("POST /api/v1/services/a/edit", a_service_view(status=ServiceStatus.STOPPED))
    stopped = ask("edit", "a", "--concurrency", "2", "--wait")
    assert stopped.status == 0
    assert "hydra-box start a" in stopped.err


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_start_and_stop(ask: Cli, fake: FakeBox, verb: str) -> None:
    fake.says(f"POST /api/v1/services/a/{verb}", a_service_view())
    assert "RUNNING" in ask(verb, "a").out
    assert ask(verb, "a", "--json").json["name"] == "a"


def test_logs(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/services/a/logs", b"one\ntwo\n")
    assert ask("logs", "a", "--lines", "2").out == "one\ntwo\n"
    assert ask("logs", "a", "--json").json == {
        "service": "a",
        "instance": None,
        "lines": ["one", "two"],
    }
    refused = ask("logs", "a", "--follow", "--json")
    assert refused.status == 2
    assert "--follow never ends" in refused.json["error"]["message"]


def test_keys_create_prints_only_the_key_on_stdout(ask: Cli, fake: FakeBox) -> None:
    fake.says("POST /api/v1/keys", CREATED)
    options = ("--name", "laptop", "--scope", "inference", "--scope", "admin")
    shown = ask("keys", "create", *options)
    assert shown.out == "hb-0123456789\n"
    assert "not shown again" in shown.err
    assert ask("keys", "create", "--name", "laptop", "--json").json == plain(CREATED)
    assert fake.bodies("POST /api/v1/keys") == [
        plain(CreateKeyRequest(name="laptop", scopes=(Scope.INFERENCE, Scope.ADMIN))),
        plain(CreateKeyRequest(name="laptop")),
    ]


def test_keys_list_and_revoke(ask: Cli, fake: FakeBox) -> None:
    revoked = msgspec.structs.replace(KEY, name="old", revoked_at=20.0, last_used_at=15.0)
    fake.says("GET /api/v1/keys", [KEY, revoked])
    fake.says("DELETE /api/v1/keys/old", revoked)
    for words in (("keys",), ("keys", "list")):
        shown = ask(*words)
        assert "laptop  hb-a...wxyz  inference" in shown.out
        assert "never" in shown.out
        assert "revoked" not in shown.out
        assert "not shown: 1 revoked key; hydra-box keys list --all shows them" in shown.err
        assert ask(*words, "--json").json == {"keys": plain([KEY, revoked])}
    assert "revoked" in ask("keys", "list", "--all").out
    assert "revoked" in ask("keys", "revoke", "old").out
    assert ask("keys", "revoke", "old", "--json").json == plain(revoked)


def test_engines_list(ask: Cli, fake: FakeBox) -> None:
    bad = msgspec.structs.replace(
        RUNTIME, id="llama.cpp/path-0-cpu", verified_at=None, problem="it ended with status 1"
    )
    new = msgspec.structs.replace(RUNTIME, id="llama.cpp/x", verified_at=None)
    fake.says("GET /api/v1/engines", [RUNTIME, bad, new])
    shown = ask("engines", "list")
    assert "llama.cpp/built-1-cpu" in shown.out
    assert "not yet" in shown.out
    assert "llama.cpp/path-0-cpu: it ended with status 1" in shown.err
    assert ask("engines", "--json").json == {"runtimes": plain([RUNTIME, bad, new])}


def ndjson(*steps: InstallProgress) -> bytes:
    return b"".join(msgspec.json.encode(step) + b"\n" for step in steps)


def test_engines_install_streams_what_the_installer_prints(ask: Cli, fake: FakeBox) -> None:
    lines = (InstallProgress(line="compiling"), InstallProgress(line="linking"))
    fake.says("POST /api/v1/engines/install", ndjson(*lines, InstallProgress(runtime=RUNTIME)))
    shown = ask("engines", "install", "llama.cpp")
    assert shown.status == 0
    assert "compiling\nlinking\n" in shown.err
    assert "llama.cpp/built-1-cpu is installed and verified" in shown.err
    assert RUNTIME.id in shown.out
    assert ask("engines", "install", "llama.cpp", "--json").json == plain(RUNTIME)


def test_engines_install_that_fails(ask: Cli, fake: FakeBox) -> None:
    error = EngineUnavailable("there is no C++ compiler", hint="apt install g++").body()
    stream = ndjson(InstallProgress(line="compiling"), InstallProgress(error=error))
    fake.says("POST /api/v1/engines/install", stream)
    failed = ask("engines", "install", "llama.cpp", "--json")
    assert failed.status == 7
    assert failed.err.endswith("error: there is no C++ compiler\nhint: apt install g++\n")
    assert failed.json == plain(error)


def test_engines_verify(ask: Cli, fake: FakeBox) -> None:
    fake.says("POST /api/v1/engines/verify", RUNTIME)
    assert ask("engines", "verify", RUNTIME.id, "--json").json == plain(RUNTIME)
    assert RUNTIME.id in ask("engines", "verify", RUNTIME.id).out
    bad = msgspec.structs.replace(RUNTIME, problem="it ended by SIGILL")
    fake.says("POST /api/v1/engines/verify", bad)
    failed = ask("engines", "verify", RUNTIME.id)
    assert failed.status == 7
    assert "llama.cpp/built-1-cpu cannot be used: it ended by SIGILL" in failed.err


@pytest.mark.parametrize(("verb", "pinned"), [("pin", True), ("unpin", False)])
def test_engines_pin_and_unpin(ask: Cli, fake: FakeBox, verb: str, pinned: bool) -> None:
    runtime = msgspec.structs.replace(RUNTIME, pinned=pinned)
    fake.says(f"POST /api/v1/engines/{verb}", runtime)
    assert ask("engines", verb, RUNTIME.id, "--json").json == plain(runtime)
    shown = ask("engines", verb, RUNTIME.id).out
    header, row = shown.splitlines()
    assert row[header.index("PINNED") :].split()[0] == ("pinned" if pinned else "-")
    query = f"runtime={RUNTIME.id.replace('/', '%2F')}"
    assert fake.asked[0][0] == f"POST /api/v1/engines/{verb}?{query}"


def test_engines_remove(ask: Cli, fake: FakeBox) -> None:
    fake.says(f"DELETE /api/v1/engines/{RUNTIME.id}", b"")
    assert ask("engines", "remove", RUNTIME.id, "--json").json == {"removed": RUNTIME.id}
    assert "is removed" in ask("engines", "remove", RUNTIME.id).err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("there is no service 'x'", hint="did you mean a?"), 4),
        (Conflict("the name 'a' is taken", hint="'a-2' is free"), 5),
        (Unauthenticated("the key is not known", hint="hydra-box keys list"), 3),
        (StateError("the disk is full"), 9),
    ],
)
def test_errors_are_told_as_fact_and_hint_with_their_status(
    ask: Cli, fake: FakeBox, error: Any, status: int
) -> None:
    fake.says("GET /api/v1/status", error)
    told = ask("status")
    assert told.status == status
    assert told.out == ""
    hint = f"hint: {error.hint}\n" if error.hint else ""
    assert told.err == f"error: {error.message}\n{hint}"
    as_json = ask("status", "--json")
    assert as_json.status == status
    assert as_json.err == told.err
    assert as_json.json == plain(error.body())


def test_no_daemon(cli: Cli) -> None:
    told = cli("status", "--json")
    assert told.status == 8
    assert told.json["error"]["code"] == "daemon_unreachable"
    assert "hint: " in told.err
