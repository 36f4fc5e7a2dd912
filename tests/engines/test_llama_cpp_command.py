"""What the adapter starts, and the environment it starts it in."""

from __future__ import annotations

from pathlib import Path

from hydra_box.engines import ENGINES
from hydra_box.engines.llama_cpp import LlamaCpp
from hydra_box.types import Accelerator, EngineName, Runtime, RuntimeSource
from tests.engines.servers import launch
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
        EngineName.LLAMA_CPP: EngineName.LLAMA_CPP
    }


def test_context_is_given_for_all_slots_together(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    argv = LlamaCpp().command(RUNTIME, launch(model, tmp_path, context_length=512, slots=4)).argv
    assert argv[0] == "/bin/llama-server"
    assert option(argv, "--ctx-size") == "2048"
    assert option(argv, "--parallel") == "4"
    assert option(argv, "--alias") == "u-1100a15812cc/tiny"


def test_batch_follows_the_context_within_bounds(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    sizes = [
        option(
            LlamaCpp().command(RUNTIME, launch(model, tmp_path, context_length=length)).argv,
            "--ubatch-size",
        )
        for length in (128, 1024, 32_768)
    ]
    assert sizes == ["512", "1024", "2048"]


def test_cpu_instance_sees_no_gpu(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    command = LlamaCpp({}).command(RUNTIME, launch(model, tmp_path, device="cpu"))
    assert command.env["CUDA_VISIBLE_DEVICES"] == ""
    assert option(command.argv, "--n-gpu-layers") == "0"


def test_gpu_instance_sees_its_gpu_alone_and_puts_all_layers_there(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    command = LlamaCpp({}).command(RUNTIME, launch(model, tmp_path, device="GPU-1234"))
    assert command.env["CUDA_VISIBLE_DEVICES"] == "GPU-1234"
    assert option(command.argv, "--n-gpu-layers") == "999"


def test_environment_is_named_not_inherited(tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    environ = {"PATH": "/bin", "HOME": "/root", "OPENAI_API_KEY": "secret", "LLAMA_ARG_MODEL": "x"}
    command = LlamaCpp(environ).command(RUNTIME, launch(model, tmp_path))
    assert command.env == {
        "PATH": "/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "OMP_WAIT_POLICY": "PASSIVE",
        "CUDA_VISIBLE_DEVICES": "",
    }


def test_pooling_is_left_to_a_model_that_names_its_own(tmp_path: Path) -> None:
    chat = write_tiny_gguf(tmp_path / "chat.gguf")
    assert option(LlamaCpp().command(RUNTIME, launch(chat, tmp_path)).argv, "--pooling") == "mean"
    embedding = write_tiny_embedder(tmp_path / "embedding.gguf")
    assert "--pooling" not in LlamaCpp().command(RUNTIME, launch(embedding, tmp_path)).argv
