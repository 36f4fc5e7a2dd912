"""Where everything of a box lies, and its directories, which are private to its user."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from hydra_box.errors import StateError
from hydra_box.types import Frozen


class Paths(Frozen, frozen=True, kw_only=True):
    """Where everything lives."""

    home: Path
    run: Path
    """Sockets, 0700; apart from ``home`` when that path is too long for a socket."""

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "hydra-box.db"

    @property
    def config(self) -> Path:
        """The settings file; need not exist."""
        return self.home / "config.toml"

    @property
    def lock(self) -> Path:
        """Held by the daemon for its whole life; contains its pid."""
        return self.home / "daemon.lock"

    @property
    def management_socket(self) -> Path:
        """The management API for this user, 0600, no key needed."""
        return self.run / "daemon.sock"

    @property
    def instances(self) -> Path:
        """One directory an instance, 0700, each with the engine's socket."""
        return self.run / "instances"

    @property
    def logs(self) -> Path:
        """``daemon.log`` and one file an instance."""
        return self.home / "logs"

    @property
    def engines(self) -> Path:
        """Installed runtimes, each in an environment of its own."""
        return self.home / "engines"

    @property
    def usage_journal(self) -> Path:
        """Requests that the database does not have yet; how the names of its segments begin."""
        return self.home / "usage-journal"

    @property
    def backups(self) -> Path:
        """The box's own copies of the database, and what a restore has set aside; 0700."""
        return self.home / "backups"

    @property
    def catalog(self) -> Path:
        """The owner's additions to the catalog; need not exist."""
        return self.home / "models.toml"

    @property
    def upstream_keys(self) -> Path:
        """The keys of upstreams, 0700: one file each, 0600."""
        return self.home / "upstreams"

    @property
    def imported(self) -> Path:
        """Models that were imported: one directory each, of copies or of links."""
        return self.home / "models"

    def instance_socket(self, instance_id: str) -> Path:
        """The socket that an instance's engine listens on; short, whatever the service's name."""
        return self.instances / instance_id.rpartition("-")[2] / "engine.sock"

    def instance_log(self, instance_id: str) -> Path:
        """What an instance's engine prints."""
        return self.logs / f"{instance_id}.log"

    def create(self) -> None:
        """Make the directories, private to this user.

        Raises:
            StateError: a directory cannot be made or written, or belongs to someone else.

        """
        parts = (self.logs, self.engines, self.upstream_keys, self.backups)
        for directory in (self.home, self.run, self.instances, *parts):
            _make_private(directory)


def _make_private(directory: Path) -> None:
    """Make the directory, 0700. One that stands already is checked and not changed."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise StateError(
            f"{directory} is not writable: {error.strerror}",
            hint="set HYDRA_BOX_HOME to a directory that you may write to",
        ) from error
    if found.st_uid != os.getuid():
        raise StateError(
            f"{directory} belongs to another user",
            hint="set HYDRA_BOX_HOME to a directory of your own",
        )
    if found.st_mode & stat.S_IWOTH:
        mode = stat.S_IMODE(found.st_mode)
        raise StateError(
            f"{directory} can be written by every user (mode {mode:04o})",
            hint=f"chmod 700 {directory}, or set HYDRA_BOX_HOME to a directory of your own",
        )
