"""The state on disk: SQLite through sqlite-utils, one owner thread, migrations."""

from hydra_box.store.store import Store

__all__ = ["Store"]
