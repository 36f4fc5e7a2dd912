"""The tables of the first version."""

from __future__ import annotations

import sqlite_utils


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
