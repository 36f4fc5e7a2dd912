"""The memory estimate beside llama.cpp's own numbers: ``.venv/bin/python -m bench.memory_table``.

Writes ``docs/memory.md``'s table. Small models of many shapes are loaded where they take less
than 1.5 GiB; the others, and models that people run, are planned by llama.cpp without loading.
Takes about a minute.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hydra_box.engines.llama_cpp_runtimes import find_bundled
from hydra_box.models.facts import read_facts
from hydra_box.types import EngineOptions
from tests.engines.engine_memory import MIB, Taken, loaded, predicted, tried
from tests.models import random_shapes, real_shapes
from tests.models.random_gguf import RandomModel, write_random_gguf

DOCUMENT = Path(__file__).parent.parent / "docs" / "memory.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
LARGEST_LOADED_BYTES = 1536 * MIB

SETTINGS = (
    (512, 1, 512, "f16"),
    (4096, 4, 512, "f16"),
    (4096, 16, 512, "q8_0"),
    (32_768, 1, 512, "f16"),
    (32_768, 4, 2048, "f16"),
    (131_072, 1, 512, "q8_0"),
    (131_072, 2, 2048, "f16"),
)
"""Context of a slot, slots, batch, type of the KV cache."""


@dataclass(frozen=True)
class Row:
    """One model at one setting."""

    model: str
    setting: tuple[int, int, int, str]
    was_loaded: bool
    truth: Taken
    prediction: Taken

    @property
    def excess(self) -> int:
        return self.prediction.total - self.truth.total

    @property
    def share(self) -> float:
        return self.excess / self.truth.total

    @property
    def misses(self) -> bool:
        """Whether it is below, or above by more than 5 % and 32 MiB."""
        return self.excess < 0 or (self.share > 0.05 and self.excess > 32 * MIB)

    def __str__(self) -> str:
        context, slots, batch, kind = self.setting
        cells = (
            self.model,
            f"{context:,}",
            str(slots),
            f"{batch:,}",
            kind,
            "loaded" if self.was_loaded else "planned",
            _mib(self.truth.weights),
            _mib(self.truth.cache),
            _mib(self.truth.compute),
            _mib(self.truth.total),
            _mib(self.prediction.total),
            f"{self.excess / MIB:+.0f}",
            f"{self.share:+.1%}",
        )
        return f"| {' | '.join(cells)} |"


HEADER = (
    "| model | context | slots | batch | KV | how | weights | KV cache | compute | llama.cpp | "
    "predicted | MiB | % |\n|---|--:|--:|--:|---|---|--:|--:|--:|--:|--:|--:|--:|"
)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as directory:
        rows = []
        for row in measure(Path(directory)):
            print(row, flush=True)
            rows.append(row)
    before, rest = DOCUMENT.read_text().split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}")


def measure(directory: Path) -> Iterator[Row]:
    models: dict[str, RandomModel] = {**random_shapes.MODELS, **real_shapes.MODELS}
    for (name, model), setting in itertools.product(models.items(), SETTINGS):
        path = write_random_gguf(model, directory / "model.gguf")
        context, slots, batch, kind = setting
        trained = read_facts(path).context_length
        if context > trained or (kind != "f16" and not model.shape.heads):
            continue
        options = EngineOptions(
            context_length=context,
            slots=slots,
            batch_tokens=batch,
            kv_cache_type=kind,
            threads=2,
        )
        prediction = predicted(path, options)
        small = prediction.total <= LARGEST_LOADED_BYTES
        truth = (loaded if small else tried)(path, options, directory)
        yield Row(name, setting, small, truth, prediction)


def table(rows: list[Row]) -> str:
    version = find_bundled()[0].version
    worst = max(rows, key=lambda row: row.share)
    widest = max(rows, key=lambda row: row.excess)
    lowest = min(rows, key=lambda row: row.excess)
    missed = [row for row in rows if row.misses]
    lines = [
        f"llama.cpp of xllamacpp {version}, CPU; sizes in MiB.",
        "",
        f"- {len(rows)} cases, {sum(row.was_loaded for row in rows)} of them loaded.",
        f"- {len(rows) - len(missed)} within 5 % or 32 MiB, and not below.",
        f"- Worst by share: {_named(worst)}.",
        f"- Worst by size: {_named(widest)}.",
        f"- Lowest: {_named(lowest)}.",
        *(f"- Outside: {_named(row)}." for row in missed),
        "",
        HEADER,
        *(str(row) for row in rows),
    ]
    return "\n".join(lines)


def _named(row: Row) -> str:
    context, slots, batch, kind = row.setting
    return (
        f"{row.model} at {context:,} tokens, {slots} slots, batch {batch:,}, {kind}: "
        f"{row.excess / MIB:+.1f} MiB, {row.share:+.1%}"
    )


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f}"


if __name__ == "__main__":
    main()
