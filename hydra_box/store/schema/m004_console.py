"""What the console needs in the tables."""

from __future__ import annotations

import sqlite_utils


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
