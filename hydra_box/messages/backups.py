"""Backups in one file: what is in one, and what a restore did."""

from __future__ import annotations

from hydra_box.types import Frozen


class ArchiveMember(Frozen, frozen=True, kw_only=True):
    """One file of a backup."""

    name: str
    size_bytes: int
    sha256: str


class ArchiveManifest(Frozen, frozen=True, kw_only=True):
    """``manifest.json``, the first file of a backup."""

    format: int
    """How the backup is laid out; this version writes and reads 1."""
    version: str
    """Of the Hydra Box that made it."""
    host: str
    """The name of the machine that it is from."""
    created_at: float
    migrations: tuple[str, ...]
    """Those that its database has had: a box that knows others only cannot read it."""
    members: tuple[ArchiveMember, ...]


class BackupFile(Frozen, frozen=True, kw_only=True):
    """The answer of ``hydra-box backup --json``, and one of ``hydra-box restore --list``."""

    file: str
    size_bytes: int
    created_at: float
    manifest: ArchiveManifest | None = None
    """None: it is a copy of the database alone."""


class Restored(Frozen, frozen=True, kw_only=True):
    """The answer of ``hydra-box restore --json``."""

    file: str
    created_at: float | None
    """When the backup was made, where it tells."""
    migrations: tuple[str, ...]
    members: tuple[str, ...]
    """What was put in place."""
    set_aside: str
    """The directory that has what was there before."""
