"""Printing: data to stdout, talk to stderr, tables as plain text, colour only on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Sequence
from typing import TextIO

import click
import msgspec

from hydra_box.shown.numbers import duration
from hydra_box.shown.text import harmless as without_controls


def emit(value: object) -> None:
    """Print the one JSON object of a ``--json`` run."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def put(text: str, *, newline: bool = True) -> None:
    """Print data."""
    click.echo(text, nl=newline, color=_colour())


def say(text: str) -> None:
    """Talk to the person at the terminal."""
    click.echo(text, err=True, color=_colour())


def style(text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> str:
    """The text with colour; it is taken off again where nobody would see it."""
    return click.style(text, fg=fg, bold=bold or None, dim=dim or None)


def _colour() -> bool | None:
    """False: never; None: where a terminal is (see no-color.org)."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def is_terminal(stream: TextIO) -> bool:
    """True where a person reads the stream on a terminal that can rewrite its line."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def harmless(text: str) -> str:
    """Text of a model or an engine that cannot steer the terminal it is shown on."""
    return without_controls(text) if sys.stdout.isatty() else text


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> str:
    """Columns two spaces apart; those whose numbers are in ``right`` are aligned to the right."""
    cells = [[style(header, bold=True) for header in headers], *rows]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(headers))]
    lines = (
        (_pad(cell, widths[column], right=column in right) for column, cell in enumerate(row))
        for row in cells
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _width(cell: str) -> int:
    return len(click.unstyle(cell))


def _pad(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def gib(count_bytes: int) -> str:
    """Memory, which is always shown in GiB."""
    return f"{count_bytes / 1024**3:.1f} GiB"


def ago(at: float | None) -> str:
    """How long ago a Unix time was."""
    return "never" if at is None else f"{duration(max(0.0, time.time() - at))} ago"
