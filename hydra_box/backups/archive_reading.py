"""Reading a backup in one file: once, from its start to its end, and nothing of it is trusted.

Blocking.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from hydra_box.backups import archive
from hydra_box.errors import InvalidRequest, NotFound
from hydra_box.messages import ArchiveManifest, ArchiveMember
from hydra_box.types import Frozen

ANOTHER: Final = "give a file of hydra-box backup; hydra-box restore --list has the box's own"

_MANIFEST_LIMIT_BYTES: Final = 1024 * 1024
_BROKEN: Final = (tarfile.TarError, EOFError, zlib.error, msgspec.DecodeError)


def verify(file: Path) -> ArchiveManifest:
    """Read a whole backup and compare it with its manifest.

    Raises:
        InvalidRequest: it is none, or not whole.

    """
    with opened(file) as found:
        for member in found.members():
            for _ in member.chunks():
                pass
        return found.manifest


class Reading(Frozen, frozen=True, kw_only=True):
    """A member of a backup that is being read."""

    member: ArchiveMember
    source: tarfile.ExFileObject

    def chunks(self) -> Iterator[bytes]:
        """Its content, part by part.

        Raises:
            InvalidRequest: after the last one, if it is not what the manifest says.

        """
        digest = hashlib.sha256()
        for chunk in archive.parts(self.source):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != self.member.sha256:
            raise InvalidRequest(f"{self.member.name} is not what the manifest says")


class OpenArchive:
    """A backup that is being read, in the order of its members."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.manifest = self._read_manifest()

    def members(self) -> Iterator[Reading]:
        """Each member; only files with names that a backup may have, each once, and all of them.

        Raises:
            InvalidRequest: there is something else, or something is missing.

        """
        wanted = {one.name: one for one in self.manifest.members}
        while (info := self._tar.next()) is not None:
            member = wanted.pop(info.name, None)
            if member is None or not archive.is_known(info.name):
                raise InvalidRequest(f"it has {info.name!r}, which does not belong into a backup")
            source = self._tar.extractfile(info) if info.isreg() else None
            if not isinstance(source, tarfile.ExFileObject) or info.size != member.size_bytes:
                raise InvalidRequest(f"{info.name} is not what the manifest says")
            yield Reading(member=member, source=source)
        if wanted:
            raise InvalidRequest(f"{', '.join(sorted(wanted))} is missing")

    def _read_manifest(self) -> ArchiveManifest:
        info = self._tar.next()
        source = None
        if (
            info is not None
            and info.name == archive.MANIFEST
            and info.size <= _MANIFEST_LIMIT_BYTES
        ):
            source = self._tar.extractfile(info) if info.isreg() else None
        if source is None:
            raise InvalidRequest(f"it does not begin with {archive.MANIFEST}")
        manifest = msgspec.json.decode(source.read(), type=ArchiveManifest)
        if manifest.format != archive.FORMAT:
            raise InvalidRequest(
                f"it has the format {manifest.format} of Hydra Box {manifest.version}, and this "
                f"version reads {archive.FORMAT}",
                hint="update Hydra Box",
            )
        if archive.DATABASE not in {one.name for one in manifest.members}:
            raise InvalidRequest("it has no database")
        return manifest


@contextmanager
def opened(file: Path) -> Iterator[OpenArchive]:
    """Read a backup, plain or compressed with gzip.

    Raises:
        InvalidRequest: it is none, or it is damaged; says which file and why.
        NotFound: there is no such file.

    """
    try:
        # The stream is read once, from its start to its end.
        with tarfile.open(file, "r:gz" if _is_gzip(file) else "r:") as tar:
            yield OpenArchive(tar)
    except FileNotFoundError as error:
        raise NotFound(f"{error.filename} does not exist", param="file") from error
    except InvalidRequest as error:
        raise InvalidRequest(
            f"{file} is no whole backup: {error.message}", hint=error.hint or ANOTHER, param="file"
        ) from error
    except (*_BROKEN, OSError, ValueError) as error:
        raise InvalidRequest(
            f"{file} is no whole backup: {error}", hint=ANOTHER, param="file"
        ) from error


def _is_gzip(file: Path) -> bool:
    with file.open("rb") as start:
        return start.read(2) == b"\x1f\x8b"
