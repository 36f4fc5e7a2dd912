"""What an owner has set for this box, and where its state lies."""

from hydra_box.config.home import SOCKET_PATH_LIMIT_BYTES, SYSTEM_HOME, resolve_home, resolve_paths
from hydra_box.config.paths import Paths
from hydra_box.config.reading import load_settings
from hydra_box.config.settings import Settings

__all__ = [
    "SOCKET_PATH_LIMIT_BYTES",
    "SYSTEM_HOME",
    "Paths",
    "Settings",
    "load_settings",
    "resolve_home",
    "resolve_paths",
]
