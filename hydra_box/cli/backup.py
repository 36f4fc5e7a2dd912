"""``hydra-box backup``."""

from __future__ import annotations

import gzip
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import click

from hydra_box.backups import archive, archive_reading
from hydra_box.cli.connection import connect
from hydra_box.cli.new_file import STDOUT, new_file
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, is_terminal, say
from hydra_box.cli.verb import Verb
from hydra_box.client import Client
from hydra_box.config import resolve_paths
from hydra_box.errors import DaemonUnreachable
from hydra_box.messages import BackupFile
from hydra_box.shown.numbers import count, size

_COMPRESSED = (".gz", ".tgz")


@click.command(
    cls=Verb,
    examples=(
        "hydra-box backup /mnt/usb/box.tar",
        "hydra-box backup box.tar.gz --force --url https://box.example:4937",
    ),
)
@click.argument("file")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.pass_obj
def backup(options: Options, file: str, *, force: bool) -> None:
    """Write a backup of the whole box into FILE (-: stdout), while it runs or not.

    It has the database, the keys of upstreams, the settings and your catalog: keep it as safe as
    those keys. Models and engines are not in it. With a name that ends in .gz it is compressed.
    """
    if file == STDOUT:
        if options.json or is_terminal(sys.stdout):
            raise click.UsageError("the backup itself would go to stdout: name a file")
        _write(options, sys.stdout.buffer.write)
        return
    path = Path(file)
    with new_file(path, force=force) as (part, output):
        if path.suffix in _COMPRESSED:
            with gzip.GzipFile(fileobj=output, mode="wb", mtime=0) as compressed:
                _write(options, compressed.write)
        else:
            _write(options, output.write)
        output.flush()
        manifest = archive_reading.verify(part)
    written = BackupFile(
        file=str(path),
        size_bytes=path.stat().st_size,
        created_at=manifest.created_at,
        manifest=manifest,
    )
    if options.json:
        emit(written)
    else:
        say(f"{path} has {count(len(manifest.members), 'file')}, {size(written.size_bytes)}")


def _write(options: Options, write: Callable[[bytes], object]) -> None:
    with connect(options) as client:
        for chunk in _chunks(client, remote=options.url is not None):
            write(chunk)


def _chunks(client: Client, *, remote: bool) -> Iterator[bytes]:
    """From the daemon; without one, from the state directory itself."""
    begun = False
    try:
        for chunk in client.backup():
            begun = True
            yield chunk
    except DaemonUnreachable:
        if remote or begun:
            raise
    else:
        return
    with closing(archive.pack(resolve_paths(os.environ), time.time())) as packed:
        yield from packed.chunks()
