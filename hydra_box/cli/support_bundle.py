"""``hydra-box support-bundle``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hydra_box import support_bundle as bundle
from hydra_box.cli.connection import connect
from hydra_box.cli.new_file import new_file
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, say
from hydra_box.cli.verb import Verb
from hydra_box.shown.numbers import size


@click.command(
    "support-bundle",
    cls=Verb,
    examples=("hydra-box support-bundle bundle.tar.gz",),
)
@click.argument("file")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.pass_obj
def support_bundle(options: Options, file: str, *, force: bool) -> None:
    """Gather what helps to find a fault into FILE, a .tar.gz, whether or not a daemon runs.

    Status, doctor's findings, the machine, engines, settings, events, the ends of the logs, and
    the outline of the database. Keys, tokens, passwords and prompts are taken out; look through it
    all the same before you send it.
    """
    path = Path(file)
    # The key that was typed must not be found in it either.
    typed = {} if options.api_key is None else {"HYDRA_BOX_API_KEY": options.api_key}
    with new_file(path, force=force) as (_, output), connect(options) as client:
        bundle.write(output, client, os.environ | typed, remote=options.url is not None)
    written = path.stat().st_size
    if options.json:
        emit({"file": str(path), "size_bytes": written})
    else:
        say(f"{path} is written, {size(written)}; look through it before you send it")
