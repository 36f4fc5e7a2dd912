"""Ends of an engine that a test cannot bring about, from lines as llama.cpp prints them."""

from __future__ import annotations

import re
import signal

import pytest

from hydra_box.engines.exits import Rule
from hydra_box.engines.llama_cpp_exits import RULES, explain, progress
from hydra_box.types import ProcessExit

FAILED = ProcessExit(code=1)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.pattern[:40])
def test_every_fact_quotes_only_groups_that_its_pattern_has(rule: Rule) -> None:
    assert rule.fact.format(*["x"] * re.compile(rule.pattern).groups)


@pytest.mark.parametrize(
    ("log", "fact"),
    [
        (
            (
                "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: "
                "cudaMalloc failed: out of memory\n"
                "llama_model_load: error loading model: unable to allocate CUDA0 buffer"
            ),
            "not enough GPU memory: GPU 0 could not give 4096.00 MiB more",
        ),
        (
            "ggml_gallocr_reserve_n: failed to allocate CUDA1 buffer of size 1234",
            "not enough GPU memory: GPU 1 could not give 1234 bytes more",
        ),
        (
            "ggml_aligned_malloc: insufficient memory (attempted to allocate 90112.00 MB)",
            "not enough memory: 90112.00 MB more were refused",
        ),
        (
            "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 77",
            "not enough memory: 77 bytes more were refused",
        ),
        ("terminate called: std::bad_alloc", "not enough memory"),
        ("CUDA error: an illegal memory access", "the GPU failed: an illegal memory access"),
        (
            "gguf_init_from_file: failed to open GGUF file '/m/x.gguf' (Permission denied)",
            "the model's file /m/x.gguf could not be opened: Permission denied",
        ),
        (
            "error loading model vocabulary: unknown pre-tokenizer type: 'new-bpe'",
            "this llama.cpp does not know the model's tokenizer 'new-bpe'",
        ),
        (
            "error loading model: missing tensor 'output_norm.weight'",
            "the model's file does not hold the tensors that its architecture needs",
        ),
        (
            (
                "llama-server: error while loading shared libraries: libcudart.so.13: cannot open "
                "shared object file: No such file or directory"
            ),
            (
                "llama.cpp lacks the shared library libcudart.so.13: cannot open shared object "
                "file: No such file or directory"
            ),
        ),
        (
            "ImportError: libgomp.so.1: cannot open shared object file: No such file or directory",
            "the bundled llama.cpp lacks the shared library libgomp.so.1 of this system",
        ),
        (
            "ModuleNotFoundError: No module named 'xllamacpp'",
            "the Python package xllamacpp is not installed where this runtime looks for it",
        ),
        (
            "error: invalid argument: --cache-ram",
            "this llama.cpp does not know the option --cache-ram: its version does not fit",
        ),
        ("x.cpp:1: GGML_ASSERT(n > 0) failed", "llama.cpp stopped at an inner check: n > 0"),
    ],
)
def test_log_lines_become_facts(log: str, fact: str) -> None:
    assert explain(FAILED, log).fact == fact


@pytest.mark.parametrize(
    ("exit", "words"),
    [
        (ProcessExit(signal=signal.SIGILL), "a CPU instruction that this machine does not have"),
        (ProcessExit(code=128 + signal.SIGILL), "a CPU instruction that this machine"),
        (ProcessExit(signal=signal.SIGKILL), "ran out of memory"),
        (ProcessExit(signal=signal.SIGSEGV), "crashed (SIGSEGV)"),
        (ProcessExit(signal=signal.SIGTERM), "told to end (SIGTERM)"),
        (ProcessExit(signal=signal.SIGBUS), "(SIGBUS)"),
        (ProcessExit(signal=signal.SIGUSR1), "ended by signal 10"),
        (ProcessExit(code=0), "ended with status 0 and printed nothing"),
        (ProcessExit(code=7), "ended with status 7 and printed nothing"),
        (ProcessExit(), "the process has ended and printed nothing"),
    ],
)
def test_ends_without_words(exit: ProcessExit, words: str) -> None:
    assert words in explain(exit, "").fact


def test_last_telling_line_is_quoted_when_nothing_is_known() -> None:
    log = (
        "0.00.001.000 I srv init: initializing ...\n"
        "0.00.002.000 E srv start: the moon is in the way\n"
        "0.00.003.000 E srv init: exiting due to HTTP server error\n"
        "error: Failed to init server, please check the input params.\n\n"
    )
    assert explain(FAILED, log).fact == (
        "the process ended with status 1; the last it said was: srv start: the moon is in the way"
    )


def test_fact_and_hint_read_as_one_line() -> None:
    said = str(explain(ProcessExit(signal=signal.SIGILL), ""))
    assert said.endswith("; hint: build it for this machine: hydra-box engines install llama.cpp")


@pytest.mark.parametrize(
    ("log", "doing"),
    [
        ("", None),
        ("main: starting", None),
        ("srv load_model: loading model '/m.gguf'", "loading the model"),
        (
            "loading model\nload_tensors: loading model tensors, this can take",
            "reading the weights",
        ),
        ("loading model\nwarming up the model with an empty run", "warming up"),
        ("loading model\nsrv init: model loaded", "asking for a first token"),
    ],
)
def test_progress_is_the_stage_named_last(log: str, doing: str | None) -> None:
    assert progress(log) == doing
