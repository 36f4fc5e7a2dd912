"""Why a vLLM process ended: real logs, and its words for faults that need a GPU.

The logs in ``vllm_logs`` are of vLLM 0.32 on a CPU that was given a fault; stack frames and lines
of the start that say nothing of it are left out, and paths are changed.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from hydra_box.engines.base import MemoryReport
from hydra_box.engines.exits import Rule
from hydra_box.engines.vllm_exit_rules import RULES
from hydra_box.engines.vllm_exits import explain
from hydra_box.engines.vllm_memory_log import report
from hydra_box.engines.vllm_progress import progress
from hydra_box.types import ProcessExit

LOGS = Path(__file__).with_name("vllm_logs")
FAILED = ProcessExit(code=1)
GIB = 1 << 30

RECORDED = {
    "broken_config": "/srv/models/badjson/config.json is not valid JSON",
    "cache_too_large": (
        "not enough memory for the KV cache: 4096.0 GiB were asked for, "
        "NUMA node 0 has 8.33 GiB of its 9.71 GiB free"
    ),
    "cache_too_small": "not enough memory for the KV cache: not one block of it would fit",
    "cache_too_small_for_one": (
        "not enough memory for the KV cache: 1024 tokens need 0.0 GiB, it has 0.0 GiB"
    ),
    "context_too_long": (
        "the context length of 999999 tokens is longer than the model was trained for: 2048"
    ),
    "heads_not_divisible": "the model's 4 heads cannot be shared by 3 GPUs",
    "incomplete_quantisation": (
        "the quantisation that the model's config.json names cannot be used"
    ),
    "no_config": "/srv/models/no-config is not a directory with a model: it has no config.json",
    "no_kernel": (
        "this machine cannot compute with the model's quantisation: "
        "CPUFp8W8A8BlockScaledMMKernel requires AMX tile support (Sapphire Rapids or newer)"
    ),
    "no_socket_directory": (
        "vLLM could not listen on its socket: [Errno 2] No such file or directory"
    ),
    "no_tokenizer": "the model's directory has no tokenizer that can be read",
    "no_weights": "there are no safetensors files in /srv/models/no-model",
    "parser_without_token": (
        "the model's tokenizer does not fit the way in which it should call tools"
    ),
    "remote_code": (
        "the model needs Python code of its own repository, which Hydra Box does not run"
    ),
    "truncated_weights": (
        "the model's weights are truncated or corrupt: incomplete metadata, file not fully covered"
    ),
    "unknown_architecture": "this vLLM does not know the model's architecture "
    "'FrobnicateForCausalLM'",
    "unknown_option": "this vLLM does not know the option --frobnicate: its version does not fit",
    "unknown_quantisation": "this vLLM does not know the quantisation frobnicate",
    "unknown_type": "this vLLM does not know the model's type 'frobnicate'",
    "worker_killed": "a worker was killed, most likely because the machine ran out of memory",
    "wrong_choice": "this vLLM does not take q8_0 for --kv-cache-dtype",
    "wrong_shapes": "the model's weights do not have the shapes that its config.json names",
}


def recorded(name: str) -> str:
    return (LOGS / f"{name}.log").read_text(encoding="utf-8")


def test_every_recorded_log_is_looked_at() -> None:
    assert {one.stem for one in LOGS.glob("*.log")} == {*RECORDED, "ready"}


@pytest.mark.parametrize(("name", "fact"), RECORDED.items())
def test_recorded_logs_are_explained(name: str, fact: str) -> None:
    assert explain(FAILED, recorded(name)).fact == fact


LOADED = "(Worker pid=9) INFO 11-22 00:01:31 [default_loader.py:501] Loading weights took 3 seconds"
CAPTURING = "Capturing CUDA graphs (decode, FULL):  34%|###4  | 12/35 [00:02<00:04,  5.2it/s]"
NO_MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
    "capacity of 23.64 GiB of which 1.21 GiB is free."
)


@pytest.mark.parametrize(
    ("log", "fact"),
    [
        (NO_MEMORY, "not enough GPU memory for the weights: 2.00 GiB more were refused"),
        (
            f"{LOADED}\n{NO_MEMORY}",
            "not enough GPU memory for the KV cache and one batch: 2.00 GiB more were refused",
        ),
        (
            f"{LOADED}\n{CAPTURING}\n{NO_MEMORY}",
            "not enough GPU memory to record CUDA graphs: 2.00 GiB more were refused",
        ),
        (
            "Failed to load model - not enough GPU memory. Try lowering --gpu-memory-utilization",
            "not enough GPU memory for the weights",
        ),
        (
            (
                "ValueError: Free memory on device cuda:0 (3.1/23.6 GiB) on startup is less than "
                "desired GPU memory utilization (0.92, 21.8 GiB). Decrease GPU memory utilization"
            ),
            "not enough GPU memory: 3.1 GiB of 23.6 GiB were free, 21.8 GiB were asked for",
        ),
        (
            (
                "ValueError: The quantization method fp8 is not supported for the current GPU. "
                "Minimum capability: 89. Current capability: 75."
            ),
            (
                "the quantisation fp8 needs a GPU of compute capability 89 (without the dot); "
                "this one has 75"
            ),
        ),
        (
            "RuntimeError: NCCL error: unhandled cuda error",
            "the GPUs could not talk to each other (NCCL): unhandled cuda error",
        ),
        (
            "RuntimeError: The NVIDIA driver on your system is too old (found version 12020).",
            "the NVIDIA driver is older than the CUDA that this vLLM was built with",
        ),
        (
            "RuntimeError: CUDA error: an illegal memory access was encountered",
            "the GPU failed: an illegal memory access was encountered",
        ),
        (
            "RuntimeError: Failed to find C compiler. Please specify via CC environment variable",
            "vLLM compiles for the GPU and finds no C compiler with Python's headers",
        ),
        (
            "Worker proc VllmWorker-1 died unexpectedly (exit code: -9), shutting down executor.",
            "a worker was killed, most likely because the machine ran out of memory",
        ),
        (
            "huggingface_hub.errors.GatedRepoError: 401 Client Error.",
            "the model is gated: its owner has to let you in first",
        ),
    ],
)
def test_words_for_faults_that_need_a_gpu_are_explained(log: str, fact: str) -> None:
    assert explain(FAILED, log).fact == fact


def test_cache_too_small_for_one_request_names_what_would_fit() -> None:
    explanation = explain(
        FAILED,
        "ValueError: To serve at least one request with the model's max seq len (32768), (4.0 GiB "
        "KV cache is needed, which is larger than the available KV cache memory (1.5 GiB). Based "
        "on the available memory, the estimated maximum model length is 12288. Try increasing",
    )
    assert str(explanation) == (
        "not enough memory for the KV cache: 32768 tokens need 4.0 GiB, it has 1.5 GiB; "
        "hint: a context length of 12288 tokens would fit"
    )


@pytest.mark.parametrize(
    ("exit", "words"),
    [
        (ProcessExit(signal=signal.SIGKILL), "was killed (SIGKILL)"),
        (ProcessExit(signal=signal.SIGILL), "CPU instruction"),
        (ProcessExit(code=128 + signal.SIGSEGV), "vLLM crashed (SIGSEGV)"),
        (ProcessExit(signal=signal.SIGTERM), "was told to end"),
        (ProcessExit(), "the process has ended and printed nothing"),
    ],
)
def test_signals_say_what_they_can(exit: ProcessExit, words: str) -> None:
    assert words in explain(exit, "").fact


def test_unknown_end_quotes_the_last_telling_line() -> None:
    log = (
        "(EngineCore pid=7) ERROR 11-22 00:01:34 [core.py:1510] ValueError: something new\n"
        '  File "/srv/vllm/x.py", line 3, in main\n'
        "nanobind: leaked 4 instances!\n"
    )
    assert explain(FAILED, log).fact == (
        "the process ended with status 1; the last it said was: ValueError: something new"
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.pattern[:40])
def test_every_text_quotes_only_groups_that_its_pattern_has(rule: Rule) -> None:
    groups = ["x"] * re.compile(rule.pattern).groups
    assert rule.fact.format(*groups)
    assert (rule.hint or "").format(*groups) is not None


def test_progress_of_a_real_start_goes_forward() -> None:
    lines = recorded("ready").splitlines(keepends=True)
    said = [progress("".join(lines[: n + 1])) for n in range(len(lines))]
    stages = [stage for n, stage in enumerate(said) if stage and stage != said[n - 1]]
    assert stages == [
        "reading the model's configuration",
        "starting its workers",
        "loading the model",
        "reading the weights: 0 %",
        "reading the weights: 100 %",
        "preparing the model",
        "making room for the KV cache",
        "warming up",
        "asking for a first token",
    ]


def test_progress_of_what_only_a_gpu_does() -> None:
    assert progress("INFO Dynamo bytecode transform time: 4.2 s") == (
        "compiling the model for this machine"
    )
    assert progress(CAPTURING) == "recording CUDA graphs: 34 %"
    assert progress("") is None


def test_reported_bytes_are_those_of_all_workers() -> None:
    log = (
        "Initializing a V1 LLM engine (v0.32.0) with config: tensor_parallel_size=2,\n"
        "Model loading took 7.5 GiB memory and 2.1 seconds\n"
        "Initial free memory 22.1 GiB, reserved 4.0 GiB memory for KV Cache as specified\n"
        "Initial free memory 22.1 GiB, reserved 4.0 GiB memory for KV Cache as specified\n"
        "Graph capturing finished in 9 secs, took 0.50 GiB\n"
    )
    assert report(log) == MemoryReport(total_bytes=24 * GIB)
    assert report(recorded("ready")) is None
