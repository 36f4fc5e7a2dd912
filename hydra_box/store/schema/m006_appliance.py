"""What a box that heals itself needs in the tables."""

from __future__ import annotations

import sqlite_utils


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
