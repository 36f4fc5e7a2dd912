"""The files of the units: where they belong, and whether somebody has changed them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from hydra_box.config import SYSTEM_HOME
from hydra_box.errors import StateError
from hydra_box.systemd.unit import (
    SERVICE,
    SOCKET,
    Scope,
    Wanted,
    account_text,
    is_as_installed,
    service_text,
    socket_text,
)
from hydra_box.types import Frozen

ACCOUNT_FILE: Final = "hydra-box.conf"


class FileState(StrEnum):
    """How a file stands to what would be installed."""

    ABSENT = "absent"
    CURRENT = "current"
    OUTDATED = "outdated"
    """As another version, or with other settings, installed it."""
    EDITED = "edited"
    """Somebody has changed it, or it is not from ``hydra-box systemd install``."""


class UnitFile(Frozen, frozen=True, kw_only=True):
    """One file that belongs to the service."""

    path: str
    state: FileState
    text: str
    """What would be installed."""
    found: str
    """What is there."""

    def difference(self) -> str:
        """What installing would change, as a unified diff."""
        lines = difflib.unified_diff(
            self.found.splitlines(), self.text.splitlines(), self.path, "new", lineterm=""
        )
        return "\n".join(lines)


class Places(Frozen, frozen=True, kw_only=True):
    """The directories of one scope."""

    units: Path
    accounts: Path | None
    """Of systemd-sysusers; None: the box runs as the user who installs it."""


def places_of(scope: Scope, environ: Mapping[str, str]) -> Places:
    """Where the files of a scope belong."""
    if scope is Scope.SYSTEM:
        return Places(units=Path("/etc/systemd/system"), accounts=Path("/etc/sysusers.d"))
    given = environ.get("XDG_CONFIG_HOME")
    settings = Path(given) if given else Path(environ.get("HOME") or Path.home()) / ".config"
    return Places(units=settings.absolute() / "systemd" / "user", accounts=None)


def home_of(scope: Scope, own: Path) -> Path:
    """The state directory of a scope's service; ``own`` is that of this user."""
    return SYSTEM_HOME if scope is Scope.SYSTEM else own


def look(wanted: Wanted, places: Places) -> tuple[UnitFile, ...]:
    """Every file of the service, as it is and as it should be.

    Raises:
        StateError: one is there and cannot be read.
    """
    texts = {
        places.units / SOCKET: socket_text(wanted),
        places.units / SERVICE: service_text(wanted),
    }
    if places.accounts is not None:
        texts[places.accounts / ACCOUNT_FILE] = account_text()
    return tuple(_look_at(path, text) for path, text in texts.items())


def drop_ins(places: Places) -> tuple[str, ...]:
    """What the owner has changed in the way that systemd means: it stays, whatever is installed."""
    found = [
        path for unit in (SERVICE, SOCKET) for path in (places.units / f"{unit}.d").glob("*.conf")
    ]
    return tuple(sorted(map(str, found)))


def write(file: UnitFile) -> None:
    """Put the file there, all of it or nothing.

    Raises:
        StateError: it cannot be written.
    """
    path = Path(file.path)
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(file.text, encoding="utf-8")
        new.chmod(0o644)
        # Also in the place of a link: a masked unit is one to /dev/null.
        new.replace(path)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}") from error


def _look_at(path: Path, text: str) -> UnitFile:
    try:
        found = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return UnitFile(path=str(path), state=FileState.ABSENT, text=text, found="")
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from error
    if found == text:
        state = FileState.CURRENT
    else:
        state = FileState.OUTDATED if is_as_installed(found) else FileState.EDITED
    return UnitFile(path=str(path), state=state, text=text, found=found)
