"""The assembly: every room, wired; nothing runs yet but what writes behind."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from hydra_box.alarms import Alarms
from hydra_box.backups import Backups
from hydra_box.boot import Boot
from hydra_box.box import Box
from hydra_box.catalog import DEMO_MODEL, Catalog
from hydra_box.config import Paths, Settings
from hydra_box.corrections import Corrections
from hydra_box.downloads import Downloads
from hydra_box.engines import DIALECTS, ENGINES
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.engines.sleeping import SLEEP_MODES
from hydra_box.errors import DiskFull, HydraError
from hydra_box.events import EventBus
from hydra_box.gateway.admission import Admission
from hydra_box.gateway.measures import Measures
from hydra_box.gateway.pool import Pool
from hydra_box.gateway.relay import Relay
from hydra_box.handover import Handover
from hydra_box.history import History
from hydra_box.instance_files import InstanceFiles
from hydra_box.instances import Instances
from hydra_box.journal import Journal
from hydra_box.keys import KeyRing
from hydra_box.library import Library
from hydra_box.life import Lives
from hydra_box.live import LiveServices
from hydra_box.load_times import LoadTimes
from hydra_box.modalities import Modalities
from hydra_box.models.hub import Hub
from hydra_box.models.hub_cache import HubCache, cache_directory
from hydra_box.naps import Naps
from hydra_box.placer import Placer
from hydra_box.plan.energy import ShareEnergy
from hydra_box.planner import Planner
from hydra_box.pulling import Puller
from hydra_box.replacing import Replacer
from hydra_box.restore import Restore, load_places
from hydra_box.sampler import Sampler
from hydra_box.services import Deployer, Pinning, Rollouts, ServiceManager, ServiceViews
from hydra_box.sources import Sources
from hydra_box.store import Store
from hydra_box.store.room import give_room
from hydra_box.supervisor import Supervisor
from hydra_box.tls import find_tls_files
from hydra_box.transfers import Transfers
from hydra_box.types import Download, Service
from hydra_box.upstreams import UpstreamKeys, Upstreams
from hydra_box.usage import EnergyMeter, UsageBooks, UsageJournal, UsageReports
from hydra_box.users import Users
from hydra_box.watch import Rooms, watching

log = logging.getLogger(__name__)


@asynccontextmanager
async def assemble(
    paths: Paths, settings: Settings, url: str, environ: Mapping[str, str]
) -> AsyncIterator[tuple[Box, Supervisor]]:
    """Every room, wired; the supervisor beside it, which only the daemon starts and stops."""
    async with AsyncExitStack() as closing:
        store = await _open_store(paths)
        closing.push_async_callback(store.close)
        events = EventBus()
        journal = Journal(store, events)
        alarms = Alarms(journal.record)
        journal.use_alarms(alarms)

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
        load_times = LoadTimes(store, journal)
        await load_times.load()
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
        supervisor, lives = _supervisor(
            journal=journal,
            pool=pool,
            instances=instances,
            boot=boot,
            paths=paths,
            settings=settings,
            missing=downloads.missing,
            restore=Restore(load_times, places=load_places(settings.load_parallelism)),
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
            replacer=Replacer(placer=placer, supervisor=supervisor, pool=pool),
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
        Rollouts(
            services=services,
            supervisor=supervisor,
            runtimes=runtimes,
            record=journal.record,
            alarms=alarms,
        )
        live = LiveServices(
            services=services, alarms=alarms, runtimes=runtimes, events=events, books=usage
        )
        watch = watching(
            Rooms(
                supervisor=supervisor,
                instances=instances,
                lives=lives,
                pool=pool,
                journal=journal,
                sampler=sampler,
                alarms=alarms,
            ),
            settings,
            engines=ENGINES,
            tls_files=find_tls_files(settings, environ),
            places={
                "the state directory": paths.home,
                "the models": cache_directory(environ, settings.model_directory, paths.home),
            },
        )
        # The last one closes first, and what one fails at does not keep the others from it.
        for close in (usage.close, pool.close, journal.close, upstreams.close, keys.flush):
            closing.push_async_callback(_close, close)
        yield (
            Box(
                settings=settings,
                paths=paths,
                url=url,
                started_at=time.time(),
                local_user=await store.local_user(),
                store=store,
                events=events,
                alarms=alarms,
                handover=Handover(journal.record, environ, settings.address),
                backups=Backups(paths, settings, alarms, recovered=store.recovered),
                catalog=catalog,
                users=users,
                keys=keys,
                usage=usage,
                reports=UsageReports(usage, currency=settings.currency),
                energy=energy,
                runtimes=runtimes,
                pinning=Pinning(
                    runtimes=runtimes,
                    services=services,
                    supervisor=supervisor,
                    replacer=planner.replacer,
                ),
                planner=planner,
                sampler=sampler,
                services=services,
                upstreams=upstreams,
                live=live,
                watching=watch,
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


async def _close(close: Callable[[], Awaitable[None]]) -> None:
    """End a room; a store that cannot be written keeps no daemon from being followed by another."""
    try:
        await close()
    except HydraError as error:
        log.error("not everything was stored at the end: %s", error.message)


async def _open_store(paths: Paths) -> Store:
    """The store, also on a disk that has no room but what was kept for this."""
    try:
        return await Store.open(paths.database, backups=paths.backups)
    except DiskFull as error:
        if not await asyncio.to_thread(give_room, paths.home):
            raise
        log.error("the disk is full, and the room that was kept for it is used: %s", error.message)
    return await Store.open(paths.database, backups=paths.backups)


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
    restore: Restore,
) -> tuple[Supervisor, Lives]:
    """The supervisor, and those who live and sleep for it."""
    lives = Lives(
        instances=instances, journal=journal, pool=pool, boot=boot, engines=ENGINES, paths=paths
    )
    naps = Naps(
        instances=instances, journal=journal, pool=pool, boot=boot, lives=lives, modes=SLEEP_MODES
    )
    supervisor = Supervisor(
        journal=journal,
        pool=pool,
        instances=instances,
        lives=lives,
        naps=naps,
        files=InstanceFiles(paths, settings.log_limit_bytes),
        missing=missing,
        restore=restore,
    )
    return supervisor, lives
