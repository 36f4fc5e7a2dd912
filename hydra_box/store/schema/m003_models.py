"""What the library of models needs in the tables."""

from __future__ import annotations

import sqlite_utils


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
