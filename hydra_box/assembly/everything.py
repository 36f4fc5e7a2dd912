"""All rooms, wired; nothing runs yet but what writes behind."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from hydra_box.alarms import Alarms
from hydra_box.assembly.models import assemble_models
from hydra_box.assembly.running import assemble_supervisor
from hydra_box.assembly.state import close_room, open_books, open_store
from hydra_box.backups.daily import Backups
from hydra_box.box import Box
from hydra_box.catalog import DEMO_MODEL
from hydra_box.config import Paths, Settings
from hydra_box.corrections import Corrections
from hydra_box.engines import DIALECTS, ENGINES
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.events import EventBus
from hydra_box.gateway.admission import Admission
from hydra_box.gateway.measures import Measures
from hydra_box.gateway.pool import Pool
from hydra_box.gateway.relay import Relay
from hydra_box.handover import Handover
from hydra_box.history import History
from hydra_box.journal import Journal
from hydra_box.keys import KeyRing
from hydra_box.live import LiveServices
from hydra_box.modalities import Modalities
from hydra_box.models.hub_cache import cache_directory
from hydra_box.placer import Placer
from hydra_box.planner import Planner
from hydra_box.pulling import Puller
from hydra_box.replacing import Replacer
from hydra_box.sampler import Sampler
from hydra_box.services import Deployer, Pinning, Rollouts, ServiceManager, ServiceViews
from hydra_box.supervisor import Supervisor
from hydra_box.supervisor.boot import Boot
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.load_times import LoadTimes
from hydra_box.supervisor.restore import Restore, load_places
from hydra_box.tls import find_tls_files
from hydra_box.types import Service
from hydra_box.upstreams import UpstreamKeys, Upstreams
from hydra_box.usage import EnergyMeter, UsageReports
from hydra_box.users import Users
from hydra_box.watch import Rooms, watching


@asynccontextmanager
async def assemble(
    paths: Paths, settings: Settings, url: str, environ: Mapping[str, str]
) -> AsyncIterator[tuple[Box, Supervisor]]:
    """Every room, wired; the supervisor beside it, which only the daemon starts and stops."""
    async with AsyncExitStack() as closing:
        store = await open_store(paths)
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

        models = await assemble_models(
            paths,
            settings,
            environ,
            store=store,
            journal=journal,
            services=known_services,
            changed=instances.changed.set,
        )
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
        usage = await open_books(store, paths, settings, measures.told_of_energy(energy.share))
        admission = Admission(keys, settings, used=await usage.quota_use())
        keys.show_quota_use(admission.quota_used)
        boot = Boot(
            runtimes=runtimes,
            placer=placer,
            corrections=corrections,
            engines=ENGINES,
            paths=paths,
            settings=settings,
            library=models.library,
        )
        supervisor, lives = assemble_supervisor(
            journal=journal,
            pool=pool,
            instances=instances,
            boot=boot,
            paths=paths,
            settings=settings,
            missing=models.downloads.missing,
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
            catalog=models.catalog,
            placer=placer,
            corrections=corrections,
            supervisor=supervisor,
            engines=ENGINES,
            sources=models.sources,
            replacer=Replacer(placer=placer, supervisor=supervisor, pool=pool),
        )
        puller = Puller(
            catalog=models.catalog, placer=placer, supervisor=supervisor, sources=models.sources
        )
        views = ServiceViews(
            supervisor=supervisor,
            pool=pool,
            downloads=models.downloads,
            modalities=modalities,
            users=users,
            upstreams=upstreams,
            paths=paths,
        )
        services = ServiceManager(
            store=store,
            supervisor=supervisor,
            planner=planner,
            downloads=models.downloads,
            views=views,
            journal=journal,
            upstreams=upstreams,
            deployer=Deployer(
                planner=planner,
                downloads=models.downloads,
                users=users,
                catalog=models.catalog,
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
            closing.push_async_callback(close_room, close)
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
                catalog=models.catalog,
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
                library=models.library,
                downloads=models.downloads,
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
