"""Whether a daemon would start here: it reads what a daemon reads, and changes nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping

import sqlite_utils

from hydra_box.catalog import Catalog
from hydra_box.config import Paths, Settings
from hydra_box.store.database import translated
from hydra_box.store.migrations import applied, refuse_newer
from hydra_box.tls import open_tls


def check(paths: Paths, settings: Settings, environ: Mapping[str, str]) -> None:
    """Return if a daemon with these settings would start, but for its lock and its port.

    Raises:
        HydraError: what keeps it from that.
    """
    open_tls(settings, environ)
    Catalog.load(paths)
    if not paths.database.exists():
        return
    uri = f"{paths.database.as_uri()}?mode=ro"
    with (
        translated(paths.database),
        contextlib.closing(sqlite3.connect(uri, uri=True)) as connection,
    ):
        refuse_newer(applied(sqlite_utils.Database(connection)), paths.database)
