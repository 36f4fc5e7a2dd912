"""Fetching the files of a model from the hub into its cache."""

from hydra_box.models.fetch.arrived import arrived_bytes, discard
from hydra_box.models.fetch.fetch import Fetch
from hydra_box.models.fetch.limits import FetchLimits, RateLimit

__all__ = ["Fetch", "FetchLimits", "RateLimit", "arrived_bytes", "discard"]
