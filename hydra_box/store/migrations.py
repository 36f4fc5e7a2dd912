"""The tables, and how a file of an older version gets them. A migration is never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import sqlite_utils
from sqlite_utils import Migrations

from hydra_box.errors import StateError


def m001_first_tables(db: sqlite_utils.Database) -> None:
    """Users, services with their instances, keys, events and runtimes."""
    db.executescript("""
        CREATE TABLE users (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            created_at REAL NOT NULL
        );
        CREATE TABLE services (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            access_name TEXT NOT NULL UNIQUE,
            owner_id TEXT NOT NULL REFERENCES users (id),
            public INTEGER NOT NULL,
            base_model TEXT NOT NULL,
            model_path TEXT NOT NULL,
            engine TEXT NOT NULL,
            context_length INTEGER NOT NULL,
            slots INTEGER NOT NULL,
            desired_instances INTEGER NOT NULL,
            desired_state TEXT NOT NULL,
            created_at REAL NOT NULL
        );
        CREATE TABLE instances (
            id TEXT PRIMARY KEY,
            service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
            state TEXT NOT NULL,
            device TEXT NOT NULL,
            created_at REAL NOT NULL,
            pid INTEGER,
            process_created_at REAL,
            runtime_id TEXT,
            ready_at REAL,
            restarts INTEGER NOT NULL,
            failures INTEGER NOT NULL,
            boots_without_ready INTEGER NOT NULL,
            retry_at REAL,
            reason TEXT
        );
        CREATE INDEX instances_of_service ON instances (service_id);
        CREATE TABLE keys (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            owner_id TEXT NOT NULL REFERENCES users (id),
            sha256 TEXT NOT NULL UNIQUE,
            masked TEXT NOT NULL,
            scopes TEXT NOT NULL,
            created_at REAL NOT NULL,
            last_used_at REAL,
            revoked_at REAL
        );
        CREATE UNIQUE INDEX keys_live_name ON keys (name) WHERE revoked_at IS NULL;
        CREATE TABLE events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at REAL NOT NULL,
            kind TEXT NOT NULL,
            message TEXT NOT NULL,
            severity TEXT NOT NULL,
            service_id TEXT,
            service_name TEXT,
            instance_id TEXT
        );
        CREATE TABLE runtimes (
            id TEXT PRIMARY KEY,
            engine TEXT NOT NULL,
            version TEXT NOT NULL,
            accelerator TEXT NOT NULL,
            source TEXT NOT NULL,
            location TEXT NOT NULL,
            argv TEXT NOT NULL,
            verified_at REAL,
            problem TEXT
        );
    """)


def m002_plans(db: sqlite_utils.Database) -> None:
    """What instances were granted and took, and what that teaches for the next plan."""
    db.executescript("""
        ALTER TABLE services ADD COLUMN quantization TEXT;
        ALTER TABLE services ADD COLUMN on_cpu INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE instances ADD COLUMN placement TEXT;
        ALTER TABLE instances ADD COLUMN measured TEXT NOT NULL DEFAULT '[]';
        CREATE TABLE corrections (
            id TEXT PRIMARY KEY,
            factor REAL NOT NULL,
            samples INTEGER NOT NULL,
            updated_at REAL NOT NULL
        );
    """)


def m003_models(db: sqlite_utils.Database) -> None:
    """The library of models on the disk, and the queue of downloads."""
    db.executescript("""
        CREATE TABLE stored_models (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            stored_as TEXT NOT NULL,
            path TEXT NOT NULL UNIQUE,
            format TEXT NOT NULL,
            quantization TEXT,
            repository TEXT,
            revision TEXT,
            files TEXT NOT NULL,
            allows_code INTEGER NOT NULL,
            added_at REAL NOT NULL,
            verified_at REAL,
            last_used_at REAL,
            problem TEXT
        );
        CREATE TABLE downloads (
            id TEXT PRIMARY KEY,
            model TEXT NOT NULL,
            repository TEXT NOT NULL,
            revision TEXT NOT NULL,
            branch TEXT,
            format TEXT NOT NULL,
            quantization TEXT,
            files TEXT NOT NULL,
            allows_code INTEGER NOT NULL,
            pulled INTEGER NOT NULL,
            state TEXT NOT NULL,
            created_at REAL NOT NULL,
            finished_at REAL,
            reason TEXT
        );
        ALTER TABLE services ADD COLUMN download_id TEXT;
        ALTER TABLE services ADD COLUMN allows_code INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE events ADD COLUMN download_id TEXT;
        ALTER TABLE events ADD COLUMN transfer TEXT;
    """)


def m004_console(db: sqlite_utils.Database) -> None:
    """What a key may do and until when, which runtime is pinned, and what was used."""
    db.executescript("""
        ALTER TABLE keys ADD COLUMN expires_at REAL;
        ALTER TABLE keys ADD COLUMN models TEXT NOT NULL DEFAULT '[]';
        ALTER TABLE keys ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
        ALTER TABLE runtimes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE usage_hours (
            hour INTEGER NOT NULL,
            key_id TEXT NOT NULL,
            key_name TEXT NOT NULL,
            service_id TEXT NOT NULL,
            access_name TEXT NOT NULL,
            requests INTEGER NOT NULL,
            failed_requests INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            PRIMARY KEY (hour, key_id, service_id)
        ) WITHOUT ROWID;
    """)


def m005_maas(db: sqlite_utils.Database) -> None:
    """Users and keys with all their terms, upstreams, and a row for every request."""
    db.executescript("""
        ALTER TABLE users ADD COLUMN disabled_at REAL;
        ALTER TABLE keys ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
        ALTER TABLE keys ADD COLUMN disabled_at REAL;
        ALTER TABLE keys ADD COLUMN denied_models TEXT NOT NULL DEFAULT '[]';
        ALTER TABLE keys ADD COLUMN quota TEXT;
        ALTER TABLE keys ADD COLUMN previous_sha256 TEXT;
        ALTER TABLE keys ADD COLUMN previous_until REAL;
        ALTER TABLE services ADD COLUMN idle_timeout_seconds REAL;
        ALTER TABLE services ADD COLUMN price TEXT;
        CREATE TABLE upstreams (
            id TEXT PRIMARY KEY,
            service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
            base_url TEXT NOT NULL,
            model TEXT NOT NULL,
            weight REAL NOT NULL,
            most_requests INTEGER NOT NULL,
            allows_private INTEGER NOT NULL,
            created_at REAL NOT NULL
        );
        CREATE INDEX upstreams_of_service ON upstreams (service_id);
        CREATE TABLE requests (
            id TEXT PRIMARY KEY,
            at REAL NOT NULL,
            key_id TEXT NOT NULL,
            key_name TEXT NOT NULL,
            user_id TEXT NOT NULL,
            user_name TEXT NOT NULL,
            service_id TEXT NOT NULL,
            access_name TEXT NOT NULL,
            instance_id TEXT NOT NULL,
            model TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            stream INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            estimated INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            reasoning_tokens INTEGER NOT NULL,
            ttft_seconds REAL,
            tpot_seconds REAL,
            duration_seconds REAL NOT NULL,
            cost_nanos INTEGER NOT NULL,
            energy_millijoules INTEGER NOT NULL
        );
        CREATE INDEX requests_at ON requests (at);
        CREATE TABLE usage_sums (
            span_seconds INTEGER NOT NULL,
            start INTEGER NOT NULL,
            key_id TEXT NOT NULL,
            key_name TEXT NOT NULL,
            user_id TEXT NOT NULL,
            user_name TEXT NOT NULL,
            service_id TEXT NOT NULL,
            access_name TEXT NOT NULL,
            requests INTEGER NOT NULL,
            failed_requests INTEGER NOT NULL,
            refused_requests INTEGER NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            cached_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            reasoning_tokens INTEGER NOT NULL,
            cost_nanos INTEGER NOT NULL,
            energy_millijoules INTEGER NOT NULL,
            PRIMARY KEY (span_seconds, start, key_id, service_id)
        ) WITHOUT ROWID;
        INSERT INTO usage_sums
            SELECT 3600, hour * 3600, key_id, key_name,
                   IFNULL(caller.id, ''), IFNULL(caller.name, ''),
                   service_id, access_name, requests, failed_requests, 0,
                   prompt_tokens, 0, completion_tokens, 0, 0, 0
            FROM usage_hours
            LEFT JOIN keys ON keys.id = key_id
            -- Who needed no key was the user of this machine.
            LEFT JOIN users AS caller ON caller.id = owner_id OR
                                         (key_id = '' AND caller.name = 'local');
        DROP TABLE usage_hours;
    """)


def m006_appliance(db: sqlite_utils.Database) -> None:
    """What a daemon needs to take over the engines of another, and to go back from an edit."""
    db.executescript("""
        ALTER TABLE services ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE services ADD COLUMN previous TEXT;
        ALTER TABLE services ADD COLUMN makes_room INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE services ADD COLUMN on_gpu INTEGER NOT NULL DEFAULT 0;
        UPDATE services SET on_gpu = 1 WHERE id IN
            (SELECT service_id FROM instances WHERE device NOT IN ('', 'cpu'));
        ALTER TABLE runtimes ADD COLUMN replaces TEXT;
        ALTER TABLE instances ADD COLUMN way TEXT;
        ALTER TABLE instances ADD COLUMN may_sleep INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE load_times (
            id TEXT PRIMARY KEY,
            seconds REAL NOT NULL,
            cold_bytes INTEGER NOT NULL,
            reading_seconds REAL NOT NULL,
            samples INTEGER NOT NULL,
            updated_at REAL NOT NULL
        );
    """)


STEPS = (
    m001_first_tables,
    m002_plans,
    m003_models,
    m004_console,
    m005_maas,
    m006_appliance,
)
"""Every migration, oldest first."""

_APPLIED = "SELECT name FROM _sqlite_migrations WHERE migration_set = :set ORDER BY id"

MIGRATIONS = Migrations("hydra_box")
for _step in STEPS:
    MIGRATIONS()(_step)


def applied(db: sqlite_utils.Database) -> list[str]:
    """The migrations that a file has had, oldest first; nothing is changed."""
    if not db[MIGRATIONS.migrations_table].exists():
        return []
    rows = db.execute(_APPLIED, {"set": MIGRATIONS.name})
    return [name for (name,) in rows.fetchall()]


def refuse_newer(names: Iterable[str], path: Path) -> None:
    """Let only files pass whose tables this version knows.

    Raises:
        StateError: a newer Hydra Box has changed the file in a way that this one does not know.

    """
    known = {step.__name__ for step in STEPS}
    if unknown := sorted(set(names) - known):
        raise StateError(
            f"{path} was written by a newer Hydra Box: it has {', '.join(unknown)}",
            hint="update Hydra Box, or set HYDRA_BOX_HOME to another directory",
        )


def migrate(
    db: sqlite_utils.Database, path: Path, keep: Callable[[str], None] | None = None
) -> None:
    """Bring the file to this version's tables; an empty one gets them all.

    Args:
        db: the file.
        path: its name, for errors.
        keep: makes a copy of a file that has something; given the name of the next migration.

    Raises:
        StateError: a newer Hydra Box has changed the file in a way that this one does not know.

    """
    has = applied(db)
    refuse_newer(has, path)
    todo = [step.__name__ for step in STEPS if step.__name__ not in has]
    if has and todo and keep is not None:
        keep(todo[0])
    MIGRATIONS.apply(db)
