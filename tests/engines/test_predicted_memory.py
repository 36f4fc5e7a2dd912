"""The memory estimate against what the real llama.cpp says, over models of many shapes.

The whole table, with larger caches and on more sizes of a batch, is made by
``bench/memory_table.py``.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hydra_box.engines.llama_cpp_memory_log import Buffer, BufferKind, buffers, report
from hydra_box.types import EngineOptions, Runtime
from tests.engines.engine_memory import MIB, Taken, loaded, predicted, tried
from tests.models import random_shapes, real_shapes
from tests.models.random_gguf import write_random_gguf

FIT_PARAMS = "llama-fit-params"

TOLERANCE, ALWAYS_TOLERATED = 0.05, 32 * MIB
"""What the estimate may be above the engine's own total."""


def options(context: int, slots: int = 1, batch: int = 512, kind: str = "f16") -> EngineOptions:
    return EngineOptions(
        context_length=context, slots=slots, batch_tokens=batch, kv_cache_type=kind, threads=2
    )


CASES = [
    ("MHA F16", options(512)),
    ("MHA F16", options(8192, 2, kind="q8_0")),
    ("GQA Q8_0, tied", options(4096, 4)),
    ("GQA Q8_0, tied", options(32_768, 1, 1024)),
    ("MQA F32, tied", options(32_768, 4)),
    ("GQA Q4_K, tied, Q6_K embedding", options(2048, 16)),
    ("sliding 5 of 6, Q4_0, tied", options(16_384, 2)),
    ("sliding 5 of 6, Q4_0, tied", options(131_072, 1, 2048, "q8_0")),
    ("sliding 1 of 2, experts MXFP4", options(32_768)),
    ("sliding 1 of 2, experts MXFP4", options(1000, 3, 510)),
    ("experts Q4_K", options(4096, 2, 2048)),
    ("experts Q5_K", options(32_768, 2, kind="q8_0")),
    ("latent, experts Q8_0", options(16_384, 4)),
    ("latent, experts Q8_0", options(131_072, kind="q8_0")),
    ("recurrent F16, tied", options(131_072, 16)),
    ("hybrid SSM Q8_0", options(4096, 4)),
    ("hybrid delta net, experts Q4_K", options(32_768, 2)),
    ("hybrid delta net Q8_0, tied", options(16_384, 4, kind="q4_0")),
    ("MHA Q6_K, fused", options(4096, 2, 1024)),
    ("encoder F16", options(2048, 2, 1024)),
]
"""Names of models and their options; each takes less than 2 GiB."""

REAL_CASES = [
    ("Qwen3 0.6B Q8_0", options(8192, 4)),
    ("Qwen3 8B Q4_K", options(40_960)),
    ("Qwen3 30B A3B Q4_K", options(32_768, 4)),
    ("Qwen3 Next 80B A3B Q4_K", options(131_072)),
    ("Qwen3.5 4B Q4_K", options(8192, 16)),
    ("Llama 3.1 8B Q4_K", options(131_072, 2, 2048, "q8_0")),
    ("Llama 3.3 70B Q4_K", options(8192, 4)),
    ("Mixtral 8x7B Q5_K", options(32_768)),
    ("Gemma 3 27B Q4_0", options(131_072, 4)),
    ("gpt-oss 20B MXFP4", options(131_072, 1, 2048)),
    ("Phi-3 mini Q6_K", options(4096, 8)),
    ("DeepSeek-R1 Q4_K", options(16_384, 16)),
    ("Falcon-H1 1.5B Q8_0", options(8192, 4)),
]


def holds(prediction: Taken, truth: Taken) -> None:
    """Never below, and at most 5 % or 32 MiB above."""
    excess = prediction.total - truth.total
    assert excess >= 0, (prediction, truth)
    assert excess <= max(TOLERANCE * truth.total, ALWAYS_TOLERATED), (prediction, truth)
    # The log has two decimals of a MiB for each buffer.
    assert prediction.cache == pytest.approx(truth.cache, abs=0.02 * MIB)


@pytest.mark.parametrize(("name", "wanted"), CASES)
def test_what_was_predicted_is_what_llama_cpp_takes(
    short_directory: Path, name: str, wanted: EngineOptions
) -> None:
    path = write_random_gguf(random_shapes.MODELS[name], short_directory / "random.gguf")
    holds(predicted(path, wanted), loaded(path, wanted, short_directory))


@pytest.mark.parametrize(("name", "wanted"), REAL_CASES)
def test_models_that_people_run_take_what_llama_cpp_plans_for_them(
    short_directory: Path, name: str, wanted: EngineOptions
) -> None:
    path = write_random_gguf(real_shapes.MODELS[name], short_directory / "real.gguf")
    prediction, truth = predicted(path, wanted), tried(path, wanted, short_directory)
    rounded = 6 * MIB
    assert truth.total <= prediction.total <= 1.05 * truth.total + ALWAYS_TOLERATED
    assert prediction.weights == pytest.approx(truth.weights, abs=rounded)
    assert prediction.cache == pytest.approx(truth.cache, abs=rounded)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "wanted"), [*REAL_CASES[:3], REAL_CASES[8], REAL_CASES[11]])
def test_llama_fit_params_agrees(
    short_directory: Path, built_llama_cpp: Runtime, name: str, wanted: EngineOptions
) -> None:
    """The second opinion of a built llama.cpp, which is of another version than the bundled."""
    path = write_random_gguf(real_shapes.MODELS[name], short_directory / "fit.gguf")
    # It says nothing of matrices that are repacked for the CPU; --no-repack has it count them.
    program = Path(built_llama_cpp.argv[0]).with_name(FIT_PARAMS)
    argv = [str(program), "-m", str(path), "-fitp", "on", "--no-repack"]
    argv += ["-c", str(wanted.context_length * wanted.slots), "-np", str(wanted.slots)]
    argv += ["-b", str(wanted.batch_tokens), "-ub", str(wanted.batch_tokens)]
    argv += ["-ctk", wanted.kv_cache_type, "-ctv", wanted.kv_cache_type]
    run = subprocess.run(argv, capture_output=True, text=True, check=True)
    found = re.search(r"^Host (\d+) (\d+) (\d+)", run.stdout, re.MULTILINE)
    assert found is not None, run.stdout
    total = sum(int(part) for part in found.groups()) * MIB
    prediction = predicted(path, wanted).total
    assert total <= prediction <= 1.05 * total + ALWAYS_TOLERATED


LOG = """\
0.1 I llama_kv_cache:        CPU KV buffer size =     8.00 MiB
0.2 I load_tensors: loading model tensors, this can take a while... (load_mode = mmap)
0.3 I load_tensors:   CPU_Mapped model buffer size =   139.35 MiB
0.3 I load_tensors:   CPU_REPACK model buffer size =    54.00 MiB
0.3 I load_tensors:        CUDA0 model buffer size =  1024.50 MiB
0.4 I llama_context:  CUDA_Host  output buffer size =     0.58 MiB
0.5 I llama_kv_cache:        CPU KV buffer size =    16.00 MiB
0.5 I llama_memory_recurrent:      CUDA0 RS buffer size =     6.28 MiB
0.6 I sched_reserve:      CUDA0 compute buffer size =    40.02 MiB
"""


def test_buffers_of_the_log_are_those_of_the_last_load() -> None:
    found = buffers(LOG)
    assert [(one.device, one.kind, one.in_ram) for one in found] == [
        ("CPU_Mapped", BufferKind.MODEL, True),
        ("CPU_REPACK", BufferKind.MODEL, True),
        ("CUDA0", BufferKind.MODEL, False),
        ("CUDA_Host", BufferKind.OUTPUT, True),
        ("CPU", BufferKind.KV, True),
        ("CUDA0", BufferKind.RECURRENT, False),
        ("CUDA0", BufferKind.COMPUTE, False),
    ]
    assert found[2] == Buffer(device="CUDA0", kind=BufferKind.MODEL, size_bytes=round(1024.5 * MIB))


def test_repacked_matrices_count_once() -> None:
    expected = 139.35 + 1024.5 + 0.58 + 16 + 6.28 + 40.02
    found = report(LOG)
    assert found is not None
    assert found.total_bytes == pytest.approx(expected * MIB, abs=100)
    assert found.twice_bytes > 0


def test_log_without_the_last_buffers_says_nothing() -> None:
    assert report(LOG.rsplit("0.6", 1)[0]) is None
    assert report("I load: 0 unused tokens") is None
