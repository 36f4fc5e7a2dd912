"""A backup in one file: a tar whose first member tells what the others are. Blocking.

It has what a box cannot get again from elsewhere: the database, the keys of upstreams, the
settings, the owner's catalog, and the requests that the database does not have yet. Models and
engines are not in it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from typing import IO, Final

import msgspec

from hydra_box import __version__
from hydra_box.config import Paths
from hydra_box.disk import require_room
from hydra_box.errors import NotFound, StateError
from hydra_box.messages import ArchiveManifest, ArchiveMember
from hydra_box.store import backup
from hydra_box.store.database import translated

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DATABASE: Final = "hydra-box.db"
STAGING: Final = ".staging-"
"""What the names of directories begin with in which a backup is put together."""

_KNOWN: Final = re.compile(
    r"hydra-box\.db|config\.toml|models\.toml|upstreams/[\w-]+\.key|usage-journal\.\d+", re.ASCII
)
_CHUNK_BYTES: Final = 1024 * 1024
_STAGING_RESERVE_BYTES: Final = 64 * 1024 * 1024
_END: Final = bytes(2 * tarfile.BLOCKSIZE)


class Archive:
    """A backup that is about to be written: its files are open, and have no names any more."""

    def __init__(
        self, manifest: ArchiveManifest, files: Sequence[BufferedReader], closing: ExitStack
    ) -> None:
        self.manifest = manifest
        self._files = files
        self._closing = closing

    def chunks(self) -> Iterator[bytes]:
        """The tar, part by part."""
        manifest = msgspec.json.format(msgspec.json.encode(self.manifest), indent=2)
        yield _head(MANIFEST, len(manifest), self.manifest.created_at)
        yield manifest + _padding(len(manifest))
        for member, file in zip(self.manifest.members, self._files, strict=True):
            yield _head(member.name, member.size_bytes, self.manifest.created_at)
            yield from parts(file)
            yield _padding(member.size_bytes)
        yield _END

    def close(self) -> None:
        """Let the files go."""
        self._closing.close()


def pack(paths: Paths, at: float) -> Archive:
    """Put a backup together from a state directory, in which a daemon may be at work.

    Raises:
        NotFound: there is no database.
        DiskFull: there is no room for the copy of the database.
        StateError: something cannot be read, or the database is damaged.

    """
    if not paths.database.exists():
        raise NotFound(f"{paths.home} has no database", hint="hydra-box serve makes one")
    require_room(
        "putting the backup together",
        paths.backups.parent,
        paths.database.stat().st_size,
        _STAGING_RESERVE_BYTES,
        hint="free some space there",
    )
    with translated(paths.backups):
        paths.backups.mkdir(mode=0o700, exist_ok=True)
    with (
        translated(paths.backups),
        tempfile.TemporaryDirectory(prefix=STAGING, dir=paths.backups) as staging,
        ExitStack() as closing,
    ):
        names = _stage(paths, Path(staging))
        migrations = backup.check(Path(staging) / DATABASE)
        files = [closing.enter_context((Path(staging) / name).open("rb")) for name in names]
        members = [_describe(name, file) for name, file in zip(names, files, strict=True)]
        manifest = ArchiveManifest(
            format=FORMAT,
            version=__version__,
            host=socket.gethostname(),
            created_at=at,
            migrations=migrations,
            members=tuple(members),
        )
        return Archive(manifest, files, closing.pop_all())


def _stage(paths: Paths, staging: Path) -> list[str]:
    """Copy all that belongs to a backup; the names of the copies.

    The journal first: what leaves it while it is copied is in the database, which follows.
    """
    (staging / "upstreams").mkdir()
    journal = paths.usage_journal
    segments = [*journal.parent.glob(f"{journal.name}.*")]
    for source in segments:
        _copy_if_there(source, staging)
    backup.copy(paths.database, staging / DATABASE)
    for source in (paths.config, paths.catalog):
        _copy_if_there(source, staging)
    for source in paths.upstream_keys.glob("*.key"):
        _copy_if_there(source, staging / "upstreams")
    found = (path for path in staging.rglob("*") if path.is_file())
    return sorted(name for path in found if is_known(name := str(path.relative_to(staging))))


def _copy_if_there(source: Path, directory: Path) -> None:
    try:
        shutil.copyfile(source, directory / source.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(f"{source} cannot be copied: {error.strerror}") from error


def is_known(name: str) -> bool:
    """Whether a backup may have a file of that name."""
    return _KNOWN.fullmatch(name) is not None


def _describe(name: str, file: BufferedReader) -> ArchiveMember:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return ArchiveMember(name=name, size_bytes=os.fstat(file.fileno()).st_size, sha256=digest)


def parts(file: IO[bytes]) -> Iterator[bytes]:
    """The content of a file, part by part."""
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _head(name: str, size_bytes: int, at: float) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size_bytes, int(at), 0o600
    return info.tobuf()


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % tarfile.BLOCKSIZE)
