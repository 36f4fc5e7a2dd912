"""The assembly: every room, wired; nothing runs yet but what writes behind."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from hydra_box.boot import Boot
from hydra_box.box import Box
from hydra_box.catalog import DEMO_MODEL, Catalog
from hydra_box.config import Paths, Settings
from hydra_box.corrections import Corrections
from hydra_box.downloads import Downloads
from hydra_box.engines import DIALECTS, ENGINES
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.engines.sleeping import SLEEP_MODES
from hydra_box.events import EventBus
from hydra_box.gateway.admission import Admission
from hydra_box.gateway.measures import Measures
from hydra_box.gateway.pool import Pool
from hydra_box.gateway.relay import Relay
from hydra_box.history import History
from hydra_box.instance_files import InstanceFiles
from hydra_box.instances import Instances
from hydra_box.journal import Journal
from hydra_box.keys import KeyRing
from hydra_box.library import Library
from hydra_box.life import Lives
from hydra_box.live import LiveServices
from hydra_box.modalities import Modalities
from hydra_box.models.hub import Hub
from hydra_box.models.hub_cache import HubCache, cache_directory
from hydra_box.naps import Naps
from hydra_box.placer import Placer
from hydra_box.plan.energy import ShareEnergy
from hydra_box.planner import Planner
from hydra_box.pulling import Puller
from hydra_box.sampler import Sampler
from hydra_box.services import Deployer, ServiceManager, ServiceViews
from hydra_box.sources import Sources
from hydra_box.store import Store
from hydra_box.supervisor import Supervisor
from hydra_box.transfers import Transfers
from hydra_box.types import Download, Service
from hydra_box.upstreams import UpstreamKeys, Upstreams
from hydra_box.usage import EnergyMeter, UsageBooks, UsageJournal, UsageReports
from hydra_box.users import Users


@asynccontextmanager
async def assemble(
    paths: Paths, settings: Settings, url: str, environ: Mapping[str, str]
) -> AsyncIterator[tuple[Box, Supervisor]]:
    """Every room, wired; the supervisor beside it, which only the daemon starts and stops."""
    async with AsyncExitStack() as closing:
        store = await Store.open(paths.database)
        closing.push_async_callback(store.close)
        events = EventBus()
        journal = Journal(store, events)

        def services_of(user_id: str) -> int:
            return sum(one.owner_id == user_id for one in known_services())

        users = Users(store, record=journal.record, services_of=services_of)
        await users.load()
        keys = KeyRing(store, users=users, record=journal.record)
        await keys.load()
        runtimes = RuntimeManager(
            store, paths, ENGINES, DEMO_MODEL, record=journal.record, environ=environ
        )
        await runtimes.load()
        instances = Instances(store, journal)

        def known_services() -> tuple[Service, ...]:
            return supervisor.services()

        cache = HubCache(cache_directory(environ, settings.model_directory, paths.home))
        hub = Hub(environ)
        library = Library(
            store=store,
            paths=paths,
            cache=cache,
            settings=settings,
            environ=environ,
            services=known_services,
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
            services=known_services,
            changed=instances.changed.set,
        )
        sources = Sources(hub=hub, cache=cache, reserve_bytes=settings.disk_reserve_bytes)
        catalog = Catalog.load(paths, hub=hub, shelf=library)
        sampler = Sampler(paths.home)
        corrections = Corrections(store, journal)
        await corrections.load()
        modalities = Modalities()
        placer = Placer(
            runtimes=runtimes, sampler=sampler, corrections=corrections, modalities=modalities
        )
        pool = Pool(settings)
        energy = EnergyMeter(pool=pool, sampler=sampler, instances=instances.all)
        measures = Measures()
        usage = await _open_books(store, paths, settings, measures.told_of_energy(energy.share))
        admission = Admission(keys, settings, used=await usage.quota_use())
        keys.show_quota_use(admission.quota_used)
        boot = Boot(
            runtimes=runtimes,
            placer=placer,
            corrections=corrections,
            engines=ENGINES,
            paths=paths,
            settings=settings,
            library=library,
        )
        supervisor = _supervisor(
            journal=journal,
            pool=pool,
            instances=instances,
            boot=boot,
            paths=paths,
            settings=settings,
            missing=downloads.missing,
        )
        upstreams = Upstreams(
            store=store,
            keys=UpstreamKeys(paths.upstream_keys),
            pool=pool,
            journal=journal,
            tell=supervisor.put_upstreams,
            drain_seconds=settings.drain_timeout_seconds,
        )
        planner = Planner(
            catalog=catalog,
            placer=placer,
            corrections=corrections,
            supervisor=supervisor,
            engines=ENGINES,
            sources=sources,
        )
        puller = Puller(catalog=catalog, placer=placer, supervisor=supervisor, sources=sources)
        views = ServiceViews(
            supervisor=supervisor,
            pool=pool,
            downloads=downloads,
            modalities=modalities,
            users=users,
            upstreams=upstreams,
            paths=paths,
        )
        services = ServiceManager(
            store=store,
            supervisor=supervisor,
            planner=planner,
            downloads=downloads,
            views=views,
            journal=journal,
            upstreams=upstreams,
            deployer=Deployer(
                planner=planner,
                downloads=downloads,
                users=users,
                catalog=catalog,
            ),
        )
        live = LiveServices(
            services=services, sampler=sampler, runtimes=runtimes, events=events, books=usage
        )
        # The last one closes first, and what one fails at does not keep the others from it.
        for close in (usage.close, pool.close, journal.close, upstreams.close, keys.flush):
            closing.push_async_callback(close)
        yield (
            Box(
                settings=settings,
                paths=paths,
                url=url,
                started_at=time.time(),
                local_user=await store.local_user(),
                store=store,
                events=events,
                catalog=catalog,
                users=users,
                keys=keys,
                usage=usage,
                reports=UsageReports(usage, currency=settings.currency),
                energy=energy,
                runtimes=runtimes,
                planner=planner,
                sampler=sampler,
                services=services,
                upstreams=upstreams,
                live=live,
                history=History(pool=pool, instances=supervisor.instances, sampler=sampler),
                library=library,
                downloads=downloads,
                puller=puller,
                pool=pool,
                measures=measures,
                relay=Relay(
                    pool,
                    keys,
                    DIALECTS,
                    settings,
                    local_user=users.local,
                    admission=admission,
                    record=measures.told_of(usage.record),
                ),
            ),
            supervisor,
        )


async def _open_books(
    store: Store, paths: Paths, settings: Settings, share_energy: ShareEnergy
) -> UsageBooks:
    """The books, with what an earlier daemon left in their journal."""
    usage = UsageBooks(
        store, UsageJournal(paths.usage_journal), settings, share_energy=share_energy
    )
    await usage.replay()
    return usage


def _supervisor(
    *,
    journal: Journal,
    pool: Pool,
    instances: Instances,
    boot: Boot,
    paths: Paths,
    settings: Settings,
    missing: Callable[[Service], Download | None],
) -> Supervisor:
    """The supervisor, and those who live and sleep for it."""
    lives = Lives(
        instances=instances, journal=journal, pool=pool, boot=boot, engines=ENGINES, paths=paths
    )
    naps = Naps(
        instances=instances, journal=journal, pool=pool, boot=boot, lives=lives, modes=SLEEP_MODES
    )
    return Supervisor(
        journal=journal,
        pool=pool,
        instances=instances,
        lives=lives,
        naps=naps,
        files=InstanceFiles(paths, settings.log_limit_bytes),
        missing=missing,
    )
