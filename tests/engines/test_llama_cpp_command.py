"""What the adapter starts, and the environment it starts it in."""

from __future__ import annotations

from pathlib import Path

from hydra_box.engines import DISTRIBUTIONS, ENGINES
from hydra_box.engines.llama_cpp import LlamaCpp
from hydra_box.models.facts import read_facts
from hydra_box.types import LOCAL_ENGINES, Accelerator, EngineName, Runtime, RuntimeSource
from tests.engines.servers import launch
from tests.models.headers import write_projector
from tests.models.tiny_gguf import write_tiny_embedder, write_tiny_gguf

RUNTIME = Runtime(
    id="llama.cpp/path-1-cpu",
    engine=EngineName.LLAMA_CPP,
    version="1",
    accelerator=Accelerator.CPU,
    source=RuntimeSource.PATH,
    location="/bin/llama-server",
    argv=("/bin/llama-server",),
)


def option(argv: tuple[str, ...], name: str) -> str:
    return argv[argv.index(name) + 1]


def test_every_engine_is_listed_under_its_name() -> None:
    assert {name: engine.name for name, engine in ENGINES.items()} == {
        name: name for name in LOCAL_ENGINES
    }
    assert {name: one.engine for name, one in DISTRIBUTIONS.items()} == {
        name: name for name in LOCAL_ENGINES
    }


def test_context_is_given_for_all_slots_together(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    argv = LlamaCpp().command(RUNTIME, launch(model, tmp_path, context_length=512, slots=4)).argv
    assert argv[0] == "/bin/llama-server"
    assert option(argv, "--ctx-size") == "2048"
    assert option(argv, "--parallel") == "4"
    assert option(argv, "--alias") == "u-1100a15812cc/tiny"


def test_options_become_flags(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    wanted = launch(model, tmp_path, batch_tokens=1024, threads=3, kv_cache_type="q8_0")
    argv = LlamaCpp().command(RUNTIME, wanted).argv
    flags = {
        "--batch-size": "1024",
        "--ubatch-size": "1024",
        "--threads": "3",
        "--threads-batch": "3",
        "--cache-type-k": "q8_0",
        "--cache-type-v": "q8_0",
        "--fit": "off",
    }
    assert {name: option(argv, name) for name in flags} == flags


def test_plan_shows_the_flags_that_are_used(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    wanted = launch(model, tmp_path, context_length=512, slots=2)
    flags = LlamaCpp().flags(wanted.options, Accelerator.CPU, read_facts(model))
    argv = LlamaCpp().command(RUNTIME, wanted).argv
    assert argv[-len(flags) :] == flags
    assert {"--model", "--alias", "--host"}.isdisjoint(flags)


def test_cpu_instance_sees_no_gpu_and_puts_nothing_there(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    command = LlamaCpp({}).command(RUNTIME, launch(model, tmp_path, gpu_layers=5))
    assert command.env["CUDA_VISIBLE_DEVICES"] == ""
    assert option(command.argv, "--n-gpu-layers") == "0"


def test_gpu_instance_sees_its_gpu_alone(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    wanted = launch(model, tmp_path, device="GPU-1234", gpu_layers=5)
    command = LlamaCpp({}).command(RUNTIME, wanted)
    assert command.env["CUDA_VISIBLE_DEVICES"] == "GPU-1234"
    assert command.env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert option(command.argv, "--n-gpu-layers") == "5"
    assert "--tensor-split" not in command.argv


def test_layers_are_split_over_gpus_in_their_order(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    devices = "GPU-1234,MIG-5678"
    wanted = launch(model, tmp_path, device=devices, gpu_layers=9, split=(0.75, 0.25))
    command = LlamaCpp({}).command(RUNTIME, wanted)
    assert command.env["CUDA_VISIBLE_DEVICES"] == devices
    assert option(command.argv, "--tensor-split") == "0.75,0.25"


def test_environment_is_named_not_inherited(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    environ = {"PATH": "/bin", "HOME": "/root", "OPENAI_API_KEY": "secret", "LLAMA_ARG_MODEL": "x"}
    command = LlamaCpp(environ).command(RUNTIME, launch(model, tmp_path))
    assert command.env == {
        "PATH": "/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "OMP_WAIT_POLICY": "PASSIVE",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "",
    }


def test_pooling_is_left_to_a_model_that_names_its_own(tmp_path: Path) -> None:
    chat = write_tiny_gguf(tmp_path / "chat.gguf")
    assert option(LlamaCpp().command(RUNTIME, launch(chat, tmp_path)).argv, "--pooling") == "mean"
    embedding = write_tiny_embedder(tmp_path / "embedding.gguf")
    assert "--pooling" not in LlamaCpp().command(RUNTIME, launch(embedding, tmp_path)).argv


def test_vision_projector_beside_the_model_is_loaded(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    assert "--mmproj" not in LlamaCpp().command(RUNTIME, launch(model, tmp_path)).argv
    projector = write_projector(tmp_path / "mmproj-F16.gguf", width=32)
    argv = LlamaCpp().command(RUNTIME, launch(model, tmp_path)).argv
    assert option(argv, "--mmproj") == str(projector)
