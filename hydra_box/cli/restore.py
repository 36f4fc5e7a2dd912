"""``hydra-box restore``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from hydra_box.backups.restoring import automatic_backups, put_in_place
from hydra_box.cli.options import Options
from hydra_box.cli.output import ago, emit, put, say, table
from hydra_box.cli.verb import Verb
from hydra_box.config import resolve_paths
from hydra_box.messages import BackupFile
from hydra_box.shown.numbers import size


@click.command(
    cls=Verb,
    examples=("hydra-box restore /mnt/usb/box.tar", "hydra-box restore --list"),
)
@click.argument("file", required=False)
@click.option("--list", "listed", is_flag=True, help="List the box's own daily backups.")
@click.pass_obj
def restore(options: Options, file: str | None, *, listed: bool) -> None:
    """Put the backup FILE in the place of this machine's state, while no daemon runs.

    FILE is one of `hydra-box backup`, or one of the box's own copies of the database, which
    replaces the database alone. Everything is checked first, and what was there before is kept.
    """
    if options.url is not None:
        raise click.UsageError("restore works on the machine that it is run on, without --url")
    if (file is None) is not listed:
        raise click.UsageError("name one FILE, or give --list")
    paths = resolve_paths(os.environ)
    if file is None:
        _show(options, automatic_backups(paths))
        return
    done = put_in_place(paths, Path(file), time.time())
    if options.json:
        emit(done)
    else:
        say(f"restored {', '.join(done.members)} from {done.file}")
        say(f"what was there before is in {done.set_aside}")


def _show(options: Options, found: list[BackupFile]) -> None:
    if options.json:
        emit({"backups": found})
    elif found:
        rows = [(ago(one.created_at), size(one.size_bytes), one.file) for one in found]
        put(table(("MADE", "SIZE", "FILE"), rows, right={1}))
    else:
        say("the box has made no backup yet")
