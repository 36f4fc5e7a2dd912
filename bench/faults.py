"""The table of faults: ``.venv/bin/python -m bench.faults [--rounds 50] [--soak 1800] [-k WORDS]``.

Runs ``tests/faults`` with so many rounds of every fault, and prints what each did. 50 rounds and
half an hour of random faults take about three hours on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.faults.rows import TABLE_VARIABLE, Row

HEAD = (
    "fault",
    "injected",
    "requests",
    "lost",
    "no daemon",
    "broken",
    "median s",
    "worst s",
    "left behind",
)


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as directory:
        table = Path(directory) / "rows"
        table.touch()
        words = ("-k", options.words) if options.words else ()
        done = subprocess.run(
            (sys.executable, "-m", "pytest", "tests/faults", "--timeout", "0", "-q", *words),
            env=os.environ
            | {
                TABLE_VARIABLE: str(table),
                "FAULT_ROUNDS": str(options.rounds),
                "SOAK_SECONDS": str(options.soak),
            },
            check=False,
        )
        rows = [msgspec.json.decode(one, type=Row) for one in table.read_bytes().splitlines()]
    print(as_markdown(rows))
    sys.exit(done.returncode)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=50, help="how often each is injected")
    parser.add_argument("--soak", type=int, default=1800, help="seconds of random faults")
    parser.add_argument("-k", dest="words", help="only these tests, as pytest has it")
    return parser.parse_args()


def as_markdown(rows: list[Row]) -> str:
    """One line a fault, then what else is to be said of some."""
    lines = [HEAD, ("---", *["---:"] * (len(HEAD) - 2), "---")]
    lines += [cells(one) for one in rows]
    table = [f"| {' | '.join(line)} |" for line in lines]
    notes = [f"- {one.fault}: {one.note}" for one in rows if one.note]
    return "\n".join([*table, "", *notes])


def cells(row: Row) -> tuple[str, ...]:
    counts = (row.injected, row.requests, row.lost, row.unserved, row.broken)
    times = (row.median_seconds, row.worst_seconds)
    left = "; ".join(row.left) or "nothing"
    return row.fault, *map(str, counts), *(f"{one:.2f}" for one in times), left


if __name__ == "__main__":
    main()
