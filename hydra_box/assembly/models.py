"""The rooms that know models: on the disk, on the way to it, and at the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hydra_box.catalog import Catalog
from hydra_box.config import Paths, Settings
from hydra_box.downloads import Downloads, Transfers
from hydra_box.journal import Journal
from hydra_box.library import Library
from hydra_box.models.hub import Hub
from hydra_box.models.hub_cache import HubCache, cache_directory
from hydra_box.sources import Sources
from hydra_box.store import Store
from hydra_box.types import Service


@dataclass(frozen=True, kw_only=True)
class ModelRooms:
    """Those of them that others ask."""

    library: Library
    downloads: Downloads
    sources: Sources
    catalog: Catalog


async def assemble_models(
    paths: Paths,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    store: Store,
    journal: Journal,
    services: Callable[[], tuple[Service, ...]],
    changed: Callable[[], None],
) -> ModelRooms:
    """They are wired, and the library is read.

    Args:
        paths: where models are.
        settings: of this box.
        environ: names the hub.
        store: where the rows of models and downloads are.
        journal: is told what happens.
        services: those that there are.
        changed: called whenever a download's state is another one.
    """
    cache = HubCache(cache_directory(environ, settings.model_directory, paths.home))
    hub = Hub(environ)
    library = Library(
        store=store,
        paths=paths,
        cache=cache,
        settings=settings,
        environ=environ,
        services=services,
        record=journal.record,
    )
    await library.load()
    transfers = Transfers(cache=cache, settings=settings, environ=environ)
    downloads = Downloads(
        store=store,
        journal=journal,
        library=library,
        transfers=transfers,
        jobs=settings.download_jobs,
        services=services,
        changed=changed,
    )
    sources = Sources(hub=hub, cache=cache, reserve_bytes=settings.disk_reserve_bytes)
    catalog = Catalog.load(paths, hub=hub, shelf=library)
    return ModelRooms(library=library, downloads=downloads, sources=sources, catalog=catalog)
