"""``hydra-box gpus``."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Final

import click
import msgspec

from hydra_box.cli import render_gpus
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, is_terminal, put, say
from hydra_box.cli.verb import Verb
from hydra_box.config import resolve_paths
from hydra_box.errors import DaemonUnreachable
from hydra_box.hardware import Probe, looks, snapshot
from hydra_box.types import Machine

PERIOD_SECONDS: Final = 1.0
_UP_AND_CLEAR: Final = "\x1b[{lines}A\x1b[J"


@click.command(
    cls=Verb, examples=("hydra-box gpus", "hydra-box gpus --watch", "hydra-box gpus --json")
)
@click.option(
    "--watch",
    is_flag=True,
    help="Look again every second, until Ctrl-C; with --json, an object a line.",
)
@click.pass_obj
def gpus(options: Options, watch: bool) -> None:
    """Show the GPUs, or why there are none, and the CPU, memory and disk; needs no daemon."""
    if watch:
        with closing(_samples(options)) as samples:
            _show(samples, as_json=options.json)
        return
    machine = _machine(options)
    if options.json:
        emit(machine)
    else:
        put(render_gpus.machine(machine))


def _machine(options: Options) -> Machine:
    """What the daemon says; without one, what this process sees of the same machine."""
    with connect(options) as client:
        try:
            return client.machine()
        except DaemonUnreachable:
            if options.url:
                raise
    return snapshot(resolve_paths(os.environ).home)


def _samples(options: Options) -> Generator[Machine, None, None]:
    """The daemon's samples until it stops; without a daemon, this process's own."""
    told = False
    with connect(options) as client:
        try:
            for machine in client.machine_live():
                told = True
                yield machine
        except DaemonUnreachable:
            if options.url or told:
                raise
    if told:
        say("the daemon has stopped")
        return
    with closing(Probe(resolve_paths(os.environ).home)) as probe:
        for machine in looks(probe):
            yield machine
            time.sleep(PERIOD_SECONDS)


def _show(samples: Iterator[Machine], *, as_json: bool) -> None:
    redraws = is_terminal(sys.stdout)
    lines = 0
    for machine in samples:
        if as_json:
            put(msgspec.json.encode(machine).decode())
            continue
        text = render_gpus.live(machine)
        if redraws and lines:
            put(_UP_AND_CLEAR.format(lines=lines), newline=False)
        put(text if redraws else f"{text}\n")
        lines = _rows(text)


def _rows(text: str) -> int:
    """Lines that the text takes on this terminal, which folds what is too long."""
    columns = shutil.get_terminal_size().columns
    return sum(max(1, -(-len(click.unstyle(line)) // columns)) for line in text.splitlines())
