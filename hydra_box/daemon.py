"""The life of the daemon: it starts what ``assembly`` has wired, serves, and ends in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvloop

from api.app import create_app
from api.cors import with_cors
from api.trust import Trusted
from hydra_box import __version__, precheck
from hydra_box.alarms import Alarms
from hydra_box.allocator import give_back_freed_memory
from hydra_box.assembly import assemble
from hydra_box.box import Box
from hydra_box.config import Paths, Settings, load_settings, resolve_paths
from hydra_box.descriptors import take_descriptors
from hydra_box.ending import finish, leave, let_finish
from hydra_box.errors import HydraError
from hydra_box.exposure import is_loopback, refuse_open_bind
from hydra_box.handover import Doors, hold_signals, inherited_lock, let_signals, replace
from hydra_box.http_server import http_server
from hydra_box.keys import KeyRing
from hydra_box.sessions import collect_children
from hydra_box.sockets import endpoint, inherited, listen_privately, lock
from hydra_box.store.opening import opening_seconds
from hydra_box.supervisor import Supervisor
from hydra_box.systemd.credentials import with_hub_token
from hydra_box.systemd.heartbeat import describe, heartbeat
from hydra_box.systemd.journal_log import set_up_logging
from hydra_box.systemd.notify import Notifier
from hydra_box.tls import open_tls
from hydra_box.types import Severity

log = logging.getLogger(__name__)

KEY_FLUSH_SECONDS = 30.0
STOP_ENGINES_SECONDS = 60.0
"""How long engines may take to end, once no request is under way; the last of them is killed."""
TLS_HINT = "set tls_certificate and tls_key, or let a reverse proxy speak https"


def run(
    host: str | None,
    port: int | None,
    tls_certificate: str | None = None,
    tls_key: str | None = None,
) -> int:
    """Run the daemon in the foreground until SIGTERM or SIGINT.

    Args:
        host: address to listen on; None: as the settings say.
        port: TCP port, 0 for a free one; None: as the settings say.
        tls_certificate: file of the certificate for https; None: as the settings say.
        tls_key: file of its key; None: as the settings say.

    Returns:
        The exit status: 0 after an orderly end.

    Raises:
        HydraError: it cannot start: state directory, settings, port, another daemon.
    """
    give_back_freed_memory()
    set_up_logging(os.environ)
    handed_over, held = inherited(os.environ), inherited_lock(os.environ)
    # What ended between two programs of this process.
    collect_children()
    os.umask(0o077)
    paths, settings = _read(host, port, tls_certificate, tls_key)
    if warning := take_descriptors(settings.connection_limit):
        log.warning("%s", warning)
    paths.create()
    with (
        lock(paths, held) as held,
        endpoint(handed_over, settings.host, settings.port) as listener,
        listen_privately(paths, handed_over) as private,
    ):
        doors = Doors(listener, private)
        kept = uvloop.run(_serve(paths, settings, doors, os.environ))
        if kept:
            _, now = _read(host, port, tls_certificate, tls_key)
            moved = (now.host, now.port) != (settings.host, settings.port)
            # Where the endpoint has another address now, the next daemon opens it.
            replace(kept[1:] if moved else kept, held)
    return 0


def check(
    host: str | None, port: int | None, tls_certificate: str | None, tls_key: str | None
) -> str:
    """See whether ``run`` would start, but for its lock; nothing is changed.

    Returns:
        The version that would.

    Raises:
        HydraError: what keeps it from that.
    """
    paths, settings = _read(host, port, tls_certificate, tls_key)
    precheck.check(paths, settings, os.environ)
    return __version__


def _read(
    host: str | None, port: int | None, tls_certificate: str | None, tls_key: str | None
) -> tuple[Paths, Settings]:
    """Where the state is, and the settings with what was said on the command line."""
    paths = resolve_paths(os.environ)
    settings = load_settings(paths, os.environ)
    return paths, msgspec.structs.replace(
        settings,
        host=host or settings.host,
        port=settings.port if port is None else port,
        tls_certificate=tls_certificate or settings.tls_certificate,
        tls_key=tls_key or settings.tls_key,
    )


async def _serve(
    paths: Paths, settings: Settings, doors: Doors, environ: Mapping[str, str]
) -> list[int]:
    """Serve until the end; then, if another daemon is to follow, the doors that stay open."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tls = open_tls(settings, environ)
    host, url = _address(doors.public, https=tls is not None)
    notifier = Notifier(environ)
    kept: list[int] = []
    # After a handover the watchdog runs already, and a large database takes long to be read.
    notifier.extend(opening_seconds(paths.database, paths.backups))
    async with assemble(paths, settings, url, with_hub_token(environ)) as (box, supervisor):
        refuse_open_bind([host], box.keys.list(), time.time())
        if tls is None and not is_loopback(host):
            log.warning("keys and prompts travel unencrypted: %s", TLS_HINT)
        loop.add_signal_handler(signal.SIGHUP, _hung_up, box, stop)
        let_signals()
        app = with_cors(create_app(box), settings.allowed_origins)
        await box.services.load()
        async with (
            http_server(app, doors.public, settings, tls) as public,
            http_server(Trusted(app), doors.private, settings),
            heartbeat(
                notifier,
                is_well=lambda: not supervisor.failed.done(),
                describe=lambda: describe(box.services.list()),
            ),
        ):
            async with _background(box):
                log.info("Hydra Box %s answers at %s (pid %d)", __version__, url, os.getpid())
                notifier.ready()
                await _until(supervisor.failed, stop.wait(), box.handover.asked.wait())
                if not (stop.is_set() or supervisor.failed.done()):
                    log.info("another daemon takes over: requests under way may finish")
                    notifier.reloading()
                    kept = doors.keep_open()
                    await let_finish(box, public, stop)
            follows = await _end(box, supervisor, notifier, stop)
    log.info("stopped")
    if follows and stop.is_set():
        # It came too late for this daemon; held, it is the first that the next one is told.
        signal.raise_signal(signal.SIGTERM)
    return kept if follows else []


async def _end(box: Box, supervisor: Supervisor, notifier: Notifier, stop: asyncio.Event) -> bool:
    """Stop the engines if that was asked for; else the next daemon takes them over.

    Returns:
        Whether that follows in this process.

    Raises:
        Exception: what the supervisor broke of; its engines are well.
    """
    if supervisor.failed.done():
        await leave(box, supervisor)
        supervisor.failed.result()
    if stop.is_set():
        log.info("stopping: requests under way may finish")
        notifier.stopping()
        notifier.extend(box.settings.drain_timeout_seconds + STOP_ENGINES_SECONDS)
        await finish(box, supervisor)
        if supervisor.failed.done():
            supervisor.failed.result()
        return False
    hold_signals()
    await leave(box, supervisor)
    return True


def _address(door: socket.socket, *, https: bool) -> tuple[str, str]:
    """Where a socket listens, and its URL."""
    host, port = door.getsockname()[:2]
    scheme = "https" if https else "http"
    return host, f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _hung_up(box: Box, stop: asyncio.Event) -> None:
    """SIGHUP: from whoever wants the program on the disk; or its terminal was closed."""
    if os.isatty(0):
        stop.set()
    else:
        box.handover.begin()


async def _until(failed: asyncio.Future[None], *asked: Coroutine[Any, Any, Any]) -> None:
    """Wait until somebody asks for the end, or the supervisor breaks."""
    waits = [asyncio.create_task(one) for one in asked]
    await asyncio.wait({failed, *waits}, return_when=asyncio.FIRST_COMPLETED)
    for one in waits:
        one.cancel()


@asynccontextmanager
async def _background(box: Box) -> AsyncIterator[None]:
    """What goes on beside the requests, for as long as the block runs."""
    works = {
        "the trial of the engines": box.runtimes.verify_new(),
        "noting when keys were used": _flush_keys(box.keys),
        "looking at the machine": box.sampler.run(),
        "watching": box.watching.run(),
        "counting tokens by the second": box.pool.keep_rates(),
        "the history of the services": box.history.run(),
        "adding up old usage": box.usage.keep_tidy(),
        "making backups": box.backups.run(),
        "measuring energy": box.energy.run(),
    }
    tasks = [asyncio.create_task(_do(what, work, box.alarms)) for what, work in works.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _do(what: str, work: Coroutine[Any, Any, None], alarms: Alarms) -> None:
    """Do it; should it break, the box goes on without it and says so."""
    try:
        await work
    except Exception as error:
        log.exception("%s broke", what)
        alarms.raise_(
            f"background.{what}",
            f"{what} has failed, and is not done any more: {error!r}",
            hint="hydra-box restart begins it again; hydra-box support-bundle has the details",
            severity=Severity.ERROR,
        )


async def _flush_keys(keys: KeyRing) -> None:
    while True:
        await asyncio.sleep(KEY_FLUSH_SECONDS)
        try:
            await keys.flush()
        except HydraError:
            log.exception("the keys' last use could not be stored")
