"""The supervisor, and those who boot engines, live and sleep for it."""

from __future__ import annotations

from collections.abc import Callable

from hydra_box.config import Paths, Settings
from hydra_box.engines import ENGINES
from hydra_box.engines.sleeping import SLEEP_MODES
from hydra_box.gateway.pool import Pool
from hydra_box.journal import Journal
from hydra_box.supervisor import Supervisor
from hydra_box.supervisor.boot import Boot
from hydra_box.supervisor.instance_files import InstanceFiles
from hydra_box.supervisor.instances import Instances
from hydra_box.supervisor.life import Lives
from hydra_box.supervisor.naps import Naps
from hydra_box.supervisor.restore import Restore
from hydra_box.types import Download, Service


def assemble_supervisor(
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
