"""The life of the daemon: it starts what ``assembly`` has wired, serves, and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

import uvloop

from api.app import create_app
from api.trust import Trusted
from hydra_box import __version__
from hydra_box.assembly import assemble
from hydra_box.box import Box
from hydra_box.config import Paths, Settings, load_settings, resolve_paths
from hydra_box.errors import ConfigError, HydraError
from hydra_box.http_server import http_server
from hydra_box.keys import KeyRing
from hydra_box.sockets import listen, listen_privately, lock
from hydra_box.supervisor import Supervisor

log = logging.getLogger(__name__)

KEY_FLUSH_SECONDS = 30.0


def run(host: str | None, port: int | None) -> int:
    """Run the daemon in the foreground until SIGTERM or SIGINT.

    Args:
        host: address to listen on; None: as the settings say.
        port: TCP port, 0 for a free one; None: as the settings say.

    Returns:
        The exit status: 0 after an orderly end.

    Raises:
        HydraError: it cannot start: state directory, settings, port, another daemon.
    """
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    # What uvicorn has to say of itself is said by the daemon.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # The addresses that a hub redirects to are signed: who has one has the file.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    os.umask(0o077)
    paths = resolve_paths(os.environ)
    settings = load_settings(paths, os.environ)
    paths.create()
    with (
        lock(paths),
        listen(host or settings.host, settings.port if port is None else port) as (listener),
    ):
        uvloop.run(_serve(paths, settings, listener, os.environ))
    return 0


async def _serve(
    paths: Paths, settings: Settings, listener: socket.socket, environ: Mapping[str, str]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    async with assemble(paths, settings, url, environ) as (box, supervisor):
        _refuse_open_bind(host, box)
        app = create_app(box)
        with listen_privately(paths) as private:
            await box.services.load()
            async with http_server(app, listener), http_server(Trusted(app), private):
                log.info("Hydra Box %s answers at %s (pid %d)", __version__, url, os.getpid())
                background = [
                    asyncio.create_task(box.runtimes.verify_new()),
                    asyncio.create_task(_flush_keys(box.keys)),
                    asyncio.create_task(box.sampler.run()),
                    asyncio.create_task(box.pool.keep_rates()),
                    asyncio.create_task(box.history.run()),
                    asyncio.create_task(box.usage.keep_tidy()),
                    asyncio.create_task(box.energy.run()),
                ]
                await _until(stop, supervisor)
                log.info("stopping: requests under way may finish")
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)
                await finish(box, supervisor)
    log.info("stopped")


async def _until(stop: asyncio.Event, supervisor: Supervisor) -> None:
    """Wait for a signal, or for the supervisor to break."""
    stopping = asyncio.create_task(stop.wait())
    either: set[asyncio.Future[Any]] = {stopping, supervisor.failed}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


async def finish(box: Box, supervisor: Supervisor) -> None:
    """Take no new request, let those under way end, then end the engines."""
    box.relay.stop_accepting()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(box.settings.drain_timeout_seconds):
            await box.pool.wait_all_idle()
    box.events.close()
    await box.downloads.close()
    await supervisor.stop()
    if supervisor.failed.done():
        supervisor.failed.result()


def _refuse_open_bind(host: str, box: Box) -> None:
    """Nobody opens a box to the network before there is a key to its door."""
    if ipaddress.ip_address(host).is_loopback:
        return
    if not any(key.revoked_at is None for key in box.keys.list()):
        raise ConfigError(
            f"{host} can be reached from other machines, and this box has no key",
            hint="first start it on 127.0.0.1 and run: hydra-box keys create --name NAME",
        )


async def _flush_keys(keys: KeyRing) -> None:
    while True:
        await asyncio.sleep(KEY_FLUSH_SECONDS)
        try:
            await keys.flush()
        except HydraError:
            log.exception("the keys' last use could not be stored")
