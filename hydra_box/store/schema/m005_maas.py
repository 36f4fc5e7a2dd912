"""What serving by token needs in the tables."""

from __future__ import annotations

import sqlite_utils


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
