"""Where a model that is not on this machine comes from, and where it will lie."""

from __future__ import annotations

from hydra_box.catalog.reference import is_reference, parse
from hydra_box.disk import require_room
from hydra_box.models.fetch import arrived_bytes
from hydra_box.models.hub import Hub
from hydra_box.models.hub_cache import HubCache
from hydra_box.models.wanted import Wanted, path_of
from hydra_box.types import Offer


class Sources:
    """The hub and its cache on this machine. Blocking."""

    def __init__(self, *, hub: Hub, cache: HubCache, reserve_bytes: int) -> None:
        self._hub = hub
        self._cache = cache
        self._reserve_bytes = reserve_bytes

    def exact(self, offer: Offer) -> Offer:
        """The offer, pinned to a commit and with the names of its files; see ``Hub.exact``."""
        return self._hub.exact(offer)

    def wanted(self, model: str, offer: Offer, *, allows_code: bool) -> tuple[Wanted, str]:
        """What has to be fetched for an exact offer, and the path that it will have.

        Raises:
            DiskFull: there is no room for it.
            HydraError: the hub refuses, or cannot be reached.
        """
        branch = parse(model).branch if is_reference(model) else None
        wanted = self._hub.wanted(model, offer, branch=branch, allows_code=allows_code)
        self._check_room(wanted)
        snapshot = self._cache.snapshot(wanted.repository, wanted.revision)
        return wanted, str(path_of(snapshot, wanted.format, wanted.files))

    def _check_room(self, wanted: Wanted) -> None:
        total = sum(one.size_bytes for one in wanted.files)
        missing = total - arrived_bytes(
            self._cache, wanted.repository, wanted.revision, wanted.files
        )
        require_room(
            wanted.model,
            self._cache.root,
            missing,
            self._reserve_bytes,
            hint="remove a model (hydra-box models stored), or set model_directory elsewhere",
            param="model",
        )
