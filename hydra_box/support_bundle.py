"""What helps to find a fault, in one file, without secrets and without what people asked.

It is gathered with and without a daemon: what cannot be had is told in its place. Blocking.
"""

from __future__ import annotations

import io
import platform
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from hydra_box import __version__
from hydra_box.client import Client
from hydra_box.config import Paths, load_settings, resolve_paths
from hydra_box.disk import free_bytes
from hydra_box.doctor import diagnose, diagnose_remote
from hydra_box.errors import HydraError
from hydra_box.process import read_tail
from hydra_box.redaction import Redactor, lines_of, secrets_of
from hydra_box.store.inspection import inspect

DAEMON_LOG_BYTES: Final = 512 * 1024
INSTANCE_LOG_BYTES: Final = 64 * 1024
INSTANCE_LOGS: Final = 40
"""The newest; a box that has lived for years has thousands."""
EVENTS: Final = 1000

Gather = Callable[[], object]


def write(output: BinaryIO, client: Client, environ: Mapping[str, str], *, remote: bool) -> None:
    """Write a bundle, a tar that is compressed with gzip.

    Args:
        output: where to.
        client: asks the daemon, if one runs.
        environ: names the state directory; values of secret variables are looked for and removed.
        remote: the daemon is on another machine, and nothing of this one belongs to it.

    """
    paths = resolve_paths(environ)
    redactor = Redactor(_known_secrets(paths, environ))
    with tarfile.open(fileobj=output, mode="w:gz") as tar:
        for name, gather in _documents(client, paths, environ, remote=remote).items():
            shown = redactor.value(msgspec.to_builtins(_gathered(gather)))
            _add(tar, name, msgspec.json.format(msgspec.json.encode(shown), indent=2))
        if not remote:
            for name, text in _logs(paths):
                _add(tar, name, redactor.text(text).encode())


def _documents(
    client: Client, paths: Paths, environ: Mapping[str, str], *, remote: bool
) -> dict[str, Gather]:
    """What is gathered, by the name of its file."""
    of_the_box: dict[str, Gather] = {
        "about.json": _about,
        "status.json": client.status,
        "machine.json": client.machine,
        "engines.json": lambda: {"runtimes": client.engines()},
        "library.json": lambda: {"models": client.library()},
        "downloads.json": lambda: {"downloads": client.downloads()},
        "events.json": lambda: {"events": client.recent_events(limit=EVENTS)},
    }
    if remote:
        return of_the_box | {"doctor.json": lambda: {"findings": diagnose_remote(client)}}
    return of_the_box | {
        "doctor.json": lambda: {"findings": diagnose(client, environ)},
        "settings.json": lambda: _settings(paths, environ),
        "database.json": lambda: inspect(paths.database),
        "disk.json": lambda: _disk(paths),
    }


def _gathered(gather: Gather) -> object:
    try:
        return gather()
    except HydraError as error:
        return error.body()
    except OSError as error:
        return {"error": str(error)}


def _about() -> dict[str, object]:
    packages = {one.name: one.version for one in metadata.distributions()}
    return {
        "version": __version__,
        "gathered_at": time.time(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }


def _settings(paths: Paths, environ: Mapping[str, str]) -> dict[str, object]:
    """What applies, and which variables say so; not what else is in the environment."""
    return {
        "settings": load_settings(paths, environ),
        "variables": sorted(name for name in environ if name.startswith("HYDRA_BOX_")),
    }


def _disk(paths: Paths) -> dict[str, object]:
    """What takes the room in the state directory, and what is free."""
    parts = {one.name: _size_bytes(one) for one in sorted(paths.home.iterdir())}
    return {"home": str(paths.home), "free_bytes": free_bytes(paths.home), "size_bytes": parts}


def _size_bytes(path: Path) -> int:
    files = (path.rglob("*") if path.is_dir() else (path,)) if not path.is_symlink() else ()
    return sum(one.lstat().st_size for one in files if one.is_file() and not one.is_symlink())


def _logs(paths: Paths) -> Iterator[tuple[str, str]]:
    """The ends of the logs, each from a whole line on: half a secret would not be known as one."""
    found = [one for one in paths.logs.glob("*.log*") if one.is_file()]
    newest_first = sorted(found, key=lambda one: one.stat().st_mtime, reverse=True)
    daemon = paths.logs / "daemon.log"
    for path in (daemon, *[one for one in newest_first if one != daemon][:INSTANCE_LOGS]):
        limit_bytes = DAEMON_LOG_BYTES if path == daemon else INSTANCE_LOG_BYTES
        text = read_tail(path, limit_bytes)
        if path.exists() and path.stat().st_size > limit_bytes:
            text = text.partition("\n")[2]
        if text:
            yield f"logs/{path.name}", text


def _known_secrets(paths: Paths, environ: Mapping[str, str]) -> set[str]:
    found = secrets_of(environ) | lines_of(paths.upstream_keys, "*.key")
    if credentials := environ.get("CREDENTIALS_DIRECTORY"):
        found |= lines_of(Path(credentials), "*")
    hub = Path(environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    return found | lines_of(hub, "token")


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(f"hydra-box-support/{name}")
    info.size, info.mtime, info.mode = len(content), int(time.time()), 0o600
    tar.addfile(info, io.BytesIO(content))
