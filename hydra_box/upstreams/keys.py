"""The keys of upstreams: a file each, which only this user may read."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from hydra_box.errors import StateError

SUFFIX = ".key"
_NEW = ".new"


class UpstreamKeys:
    """A directory of key files, by the id of their upstream; blocking.

    Every method raises ``StateError`` when the directory cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, upstream_id: str) -> str | None:
        """The key; None: it has none."""
        try:
            return self._path(upstream_id).read_text(encoding="ascii").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise _cannot(self._path(upstream_id), "read", error) from error

    def write(self, upstream_id: str, key: str) -> None:
        """Keep the key; whoever reads the file at any moment finds the old or the new one."""
        path = self._path(upstream_id)
        new = path.with_suffix(_NEW)
        try:
            new.unlink(missing_ok=True)
            # The mode is there before the content is.
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(file, "w", encoding="ascii") as written:
                written.write(key)
                written.flush()
                os.fsync(written.fileno())
            new.replace(path)
            self._sync()
        except OSError as error:
            raise _cannot(path, "written", error) from error

    def remove(self, upstream_id: str) -> None:
        """Forget the key, if there is one."""
        try:
            self._path(upstream_id).unlink(missing_ok=True)
            self._sync()
        except OSError as error:
            raise _cannot(self._path(upstream_id), "removed", error) from error

    def keep_only(self, upstream_ids: Collection[str]) -> None:
        """Remove the files of upstreams that are gone, and what a broken write has left."""
        kept = {f"{id}{SUFFIX}" for id in upstream_ids}
        try:
            for path in list(self._directory.iterdir()):
                if path.suffix in (SUFFIX, _NEW) and path.name not in kept:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot(self._directory, "read", error) from error

    def _path(self, upstream_id: str) -> Path:
        return self._directory / f"{upstream_id}{SUFFIX}"

    def _sync(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _cannot(path: Path, what: str, error: Exception) -> StateError:
    told = error.strerror if isinstance(error, OSError) else "it is not ASCII"
    return StateError(f"{path} cannot be {what}: {told}")
