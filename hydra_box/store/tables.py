"""The tables, each of one kind of struct."""

from __future__ import annotations

from hydra_box.store.requests import REQUESTS
from hydra_box.store.rows import Table
from hydra_box.types import (
    ApiKey,
    Correction,
    Download,
    Event,
    Instance,
    LoadTime,
    Runtime,
    Service,
    StoredModel,
    Upstream,
    User,
)

USERS = Table("users", User, order="created_at, rowid")
SERVICES = Table("services", Service, order="created_at, rowid")
UPSTREAMS = Table("upstreams", Upstream, order="created_at, rowid")
INSTANCES = Table("instances", Instance, order="created_at, rowid")
KEYS = Table("keys", ApiKey, order="created_at, rowid")
EVENTS = Table("events", Event, order="id")
RUNTIMES = Table("runtimes", Runtime, order="id")
CORRECTIONS = Table("corrections", Correction, order="id")
LOAD_TIMES = Table("load_times", LoadTime, order="id")
STORED_MODELS = Table("stored_models", StoredModel, order="added_at, rowid")
DOWNLOADS = Table("downloads", Download, order="created_at, rowid")
TABLES = (
    *(USERS, SERVICES, UPSTREAMS, INSTANCES, KEYS, EVENTS, RUNTIMES, CORRECTIONS),
    *(LOAD_TIMES, STORED_MODELS, DOWNLOADS, REQUESTS),
)
