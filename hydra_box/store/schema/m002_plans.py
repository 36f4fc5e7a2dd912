"""What plans need in the tables."""

from __future__ import annotations

import sqlite_utils


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
