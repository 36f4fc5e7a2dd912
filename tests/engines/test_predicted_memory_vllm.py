"""The memory estimate against what a real vLLM says and takes on the CPU."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from hydra_box.engines.verify import DEMO_SAFETENSORS
from hydra_box.engines.vllm import Vllm
from hydra_box.models.facts import read_facts
from hydra_box.plan.memory import estimate, kv_bytes_per_token, kv_cache_bytes
from hydra_box.types import Accelerator, EngineName, EngineOptions, Runtime
from tests.engines.servers import launch

MIB = 1 << 20
CACHE = 256 * MIB
RECORDED = Path(__file__).parent / "vllm_logs" / "ready.log"


def tokens_of(log: str) -> tuple[int, int]:
    """The tokens that the log says its cache holds, and those of one sequence."""
    found = re.search(r"KV cache size: ([\d,]+) tokens.* for ([\d,]+) tokens", log)
    assert found is not None, log
    tokens, context = (int(number.replace(",", "")) for number in found.groups())
    return tokens, context


def options(context: int, slots: int) -> EngineOptions:
    return EngineOptions(
        context_length=context,
        slots=slots,
        batch_tokens=512,
        kv_cache_bytes=CACHE,
        kv_cache_type="auto",
        threads=2,
    )


def test_as_many_tokens_fit_the_cache_as_the_estimate_says() -> None:
    """From the log of a real start on the CPU, with 64 MiB of cache for 512 tokens a sequence."""
    tokens, context = tokens_of(RECORDED.read_text())
    facts, wanted = read_facts(DEMO_SAFETENSORS), options(context, tokens // context)
    granted = tokens * kv_bytes_per_token(facts, EngineName.VLLM, wanted)
    assert granted == 64 * MIB
    # Beside what holds tokens, one block of 128 is a null.
    needed = kv_cache_bytes(facts, EngineName.VLLM, wanted)
    assert needed - granted == 128 * granted / tokens


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_real_vllm_holds_what_was_predicted(vllm_runtime: Runtime, short_directory: Path) -> None:
    facts, wanted = read_facts(DEMO_SAFETENSORS), options(1024, 8)
    (predicted,) = estimate(facts, EngineName.VLLM, Accelerator.CPU, ("cpu",), wanted)
    with started(vllm_runtime, Path(tempfile.mkdtemp(dir=short_directory)), wanted) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Application startup complete" in line:
                break
        tokens, _ = tokens_of("".join(lines))
        resident = sum(one.memory_info().rss for one in family(process.pid))
    assert tokens * kv_bytes_per_token(facts, EngineName.VLLM, wanted) == CACHE
    assert predicted.total_bytes * 0.6 < resident < predicted.total_bytes


@contextmanager
def started(
    runtime: Runtime, directory: Path, wanted: EngineOptions
) -> Iterator[subprocess.Popen[str]]:
    asked = launch(
        DEMO_SAFETENSORS,
        directory,
        **{name: getattr(wanted, name) for name in wanted.__struct_fields__},
    )
    command = Vllm().command(runtime, asked)
    process = subprocess.Popen(
        command.argv,
        env=command.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for one in family(process.pid):
            one.kill()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    leader = psutil.Process(pid)
    return [leader, *leader.children(recursive=True)]
