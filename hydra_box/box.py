"""The assembled appliance: every room, wired once by ``assembly.py`` and read by ``api``."""

from __future__ import annotations

from dataclasses import dataclass

from hydra_box.alarms import Alarms
from hydra_box.backups.daily import Backups
from hydra_box.catalog import Catalog
from hydra_box.config import Paths, Settings
from hydra_box.downloads import Downloads
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.events import EventBus
from hydra_box.gateway.measures import Measures
from hydra_box.gateway.pool import Pool
from hydra_box.gateway.relay import Relay
from hydra_box.handover import Handover
from hydra_box.history import History
from hydra_box.keys import KeyRing
from hydra_box.library import Library
from hydra_box.live import LiveServices
from hydra_box.planner import Planner
from hydra_box.pulling import Puller
from hydra_box.sampler import Sampler
from hydra_box.services import Pinning, ServiceManager
from hydra_box.store import Store
from hydra_box.types import User
from hydra_box.upstreams import Upstreams
from hydra_box.usage import UsageBooks
from hydra_box.usage.energy import EnergyMeter
from hydra_box.usage.reports import UsageReports
from hydra_box.users import Users
from hydra_box.watch import Watching


@dataclass(frozen=True, kw_only=True)
class Box:
    """The rooms of a running daemon."""

    settings: Settings
    paths: Paths
    url: str
    """Where the endpoint answers, without a path: ``http://127.0.0.1:4937``."""
    started_at: float
    local_user: User
    store: Store
    events: EventBus
    alarms: Alarms
    handover: Handover
    backups: Backups
    catalog: Catalog
    users: Users
    keys: KeyRing
    usage: UsageBooks
    reports: UsageReports
    energy: EnergyMeter
    runtimes: RuntimeManager
    pinning: Pinning
    planner: Planner
    sampler: Sampler
    services: ServiceManager
    upstreams: Upstreams
    live: LiveServices
    watching: Watching
    history: History
    library: Library
    downloads: Downloads
    puller: Puller
    pool: Pool
    measures: Measures
    relay: Relay
