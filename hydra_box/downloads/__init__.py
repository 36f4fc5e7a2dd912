"""The queue of models to fetch, and the fetches under way."""

from hydra_box.downloads.queue import Downloads
from hydra_box.downloads.transfers import Transfers

__all__ = ["Downloads", "Transfers"]
