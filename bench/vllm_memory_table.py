"""The memory estimate beside what vLLM takes: ``.venv/bin/python -m bench.vllm_memory_table``.

Writes the table of vLLM into ``docs/memory.md``. A real vLLM on the CPU serves the demo model at
several settings; ``TEST_ENGINES`` names a state directory that keeps its installation. Takes three
minutes once it is installed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.memory_table import DOCUMENT
from hydra_box.engines.verify import DEMO_SAFETENSORS
from hydra_box.models.facts import read_facts
from hydra_box.plan.memory import estimate, kv_bytes_per_token
from hydra_box.types import Accelerator, EngineName, EngineOptions, Runtime
from tests.engines.real_runtimes import installed
from tests.engines.test_predicted_memory_vllm import family, started, tokens_of

MIB = 1 << 20
BEGIN, END = "<!-- vllm: begin -->", "<!-- vllm: end -->"

SETTINGS = ((512, 4, 64), (1024, 8, 256), (2048, 4, 512), (2048, 16, 1024))
"""Context of a sequence, sequences, MiB of KV cache."""

HEADER = (
    "| context | slots | KV cache granted | KV cache by its log | weights | compute | overhead | "
    "predicted | resident | MiB | % |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as directory:
        runtime = installed(EngineName.VLLM, Path(directory) / "engines")
        rows = []
        for number, setting in enumerate(SETTINGS):
            place = Path(directory) / str(number)
            place.mkdir()
            rows.append(row(runtime, place, *setting))
            print(rows[-1], flush=True)
    before, rest = DOCUMENT.read_text().split(BEGIN)
    after = rest.split(END)[1]
    table = "\n".join((f"vLLM {runtime.version}, CPU; sizes in MiB.", "", HEADER, *rows))
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def row(runtime: Runtime, directory: Path, context: int, slots: int, cache_mib: int) -> str:
    facts = read_facts(DEMO_SAFETENSORS)
    options = EngineOptions(
        context_length=context,
        slots=slots,
        batch_tokens=512,
        kv_cache_bytes=cache_mib * MIB,
        kv_cache_type="auto",
        threads=2,
    )
    (predicted,) = estimate(facts, EngineName.VLLM, Accelerator.CPU, ("cpu",), options)
    with started(runtime, directory, options) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Application startup complete" in line:
                break
        resident = sum(one.memory_info().rss for one in family(process.pid))
    tokens, _ = tokens_of("".join(lines))
    told = tokens * kv_bytes_per_token(facts, EngineName.VLLM, options)
    excess = predicted.total_bytes - resident
    cells = (
        f"{context:,}",
        str(slots),
        f"{cache_mib:,}",
        _mib(told),
        _mib(predicted.weights_bytes),
        _mib(predicted.compute_bytes),
        _mib(predicted.overhead_bytes),
        _mib(predicted.total_bytes),
        _mib(resident),
        f"{excess / MIB:+,.0f}",
        f"{excess / resident:+.1%}",
    )
    return f"| {' | '.join(cells)} |"


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / MIB:,.0f}"


if __name__ == "__main__":
    main()
