"""Installing and removing the service: first a plan that can be shown, then what it says."""

from __future__ import annotations

import getpass
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import hydra_box
from hydra_box.config import load_settings, resolve_home, resolve_paths
from hydra_box.errors import ConfigError, Conflict, StateError
from hydra_box.sockets import listen
from hydra_box.systemd.files import (
    FileState,
    Places,
    UnitFile,
    drop_ins,
    home_of,
    look,
    places_of,
    write,
)
from hydra_box.systemd.unit import SERVICE, SOCKET, Scope, Wanted
from hydra_box.types import Frozen

Command = tuple[str, ...]

PROGRAM: Final = (sys.executable, "-m", "hydra_box.cli")
LINGERING: Final = Path("/var/lib/systemd/linger")
EDITED_HINT: Final = (
    "put changes into a drop-in (systemctl edit, or systemctl --user edit), which stays; "
    "--force goes on anyway"
)


class Change(Frozen, frozen=True, kw_only=True):
    """What installing or removing does to this machine."""

    scope: Scope
    files: tuple[UnitFile, ...]
    commands: tuple[Command, ...]
    drop_ins: tuple[str, ...]
    """Stay as they are."""
    manager_runs: bool
    """Whether there is a service manager to run the commands with."""


def wanted_here(scope: Scope, environ: Mapping[str, str]) -> Wanted:
    """The service as this installation of Hydra Box and its settings would have it.

    Raises:
        ConfigError: the settings file of that box is wrong.
    """
    home = home_of(scope, resolve_home(environ))
    # Of this shell's environment the service has nothing: only what the file says counts.
    settings = load_settings(resolve_paths({"HYDRA_BOX_HOME": str(home)}), {})
    return Wanted(
        scope=scope, program=PROGRAM, host=settings.host, port=settings.port, home=str(home)
    )


def plan_install(wanted: Wanted, environ: Mapping[str, str]) -> Change:
    """What installing would do."""
    scope, places = wanted.scope, places_of(wanted.scope, environ)
    commands: list[Command] = []
    if places.accounts is not None:
        commands.append(("systemd-sysusers",))
    commands += [
        (*systemctl(scope), "daemon-reload"),
        (*systemctl(scope), "enable", "--now", SOCKET, SERVICE),
    ]
    if scope is Scope.USER and not lingers():
        commands.append(("loginctl", "enable-linger"))
    return _change(wanted, places, commands, environ)


def plan_uninstall(wanted: Wanted, environ: Mapping[str, str]) -> Change:
    """What removing would do: the files that are there, never the state."""
    scope = wanted.scope
    commands = [(*systemctl(scope), "disable", "--now", SOCKET, SERVICE)]
    change = _change(wanted, places_of(scope, environ), commands, environ)
    there = tuple(one for one in change.files if one.state is not FileState.ABSENT)
    return Change(
        scope=scope,
        files=there,
        commands=change.commands if there else (),
        drop_ins=change.drop_ins,
        manager_runs=change.manager_runs,
    )


def install(change: Change, wanted: Wanted, *, force: bool) -> None:
    """Write the files, and have the manager start the service where one runs.

    Raises:
        Conflict: a file was edited, or something else listens on the box's port.
        ConfigError: the service's account could not reach this program.
        StateError: a file cannot be written, or a command failed.
    """
    _refuse_edited(change, force=force)
    if change.scope is Scope.SYSTEM:
        _refuse_unreachable()
    if change.manager_runs and _is_new(change):
        with listen(wanted.host, wanted.port):
            pass
    for file in change.files:
        if file.state is not FileState.CURRENT:
            write(file)
    if change.manager_runs:
        _run_all(change.commands)


def uninstall(change: Change, *, force: bool) -> None:
    """Stop the service and remove its files.

    Raises:
        Conflict: a file was edited.
        StateError: a file cannot be removed, or a command failed.
    """
    _refuse_edited(change, force=force)
    if change.manager_runs:
        _run_all(change.commands)
    for file in change.files:
        try:
            Path(file.path).unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"{file.path} cannot be removed: {error.strerror}") from error
    if change.manager_runs and change.files:
        _run_all(((*systemctl(change.scope), "daemon-reload"),))


def systemctl(scope: Scope) -> Command:
    """How the manager of a scope is spoken to."""
    return ("systemctl",) if scope is Scope.SYSTEM else ("systemctl", "--user")


def lingers() -> bool:
    """Whether this user's services run without a session of theirs."""
    return (LINGERING / getpass.getuser()).exists()


def manager_runs(scope: Scope, environ: Mapping[str, str]) -> bool:
    """Whether the service manager of a scope runs (sd_booted(3)) and can be reached from here."""
    if scope is Scope.SYSTEM:
        return Path("/run/systemd/system").is_dir()
    runtime = environ.get("XDG_RUNTIME_DIR")
    return runtime is not None and Path(runtime, "systemd", "private").exists()


def _change(
    wanted: Wanted, places: Places, commands: list[Command], environ: Mapping[str, str]
) -> Change:
    return Change(
        scope=wanted.scope,
        files=look(wanted, places),
        commands=tuple(commands),
        drop_ins=drop_ins(places),
        manager_runs=manager_runs(wanted.scope, environ),
    )


def _is_new(change: Change) -> bool:
    """Whether nothing of systemd's listens on the box's port yet."""
    states = {Path(file.path).name: file.state for file in change.files}
    return states[SOCKET] is FileState.ABSENT


def _refuse_edited(change: Change, *, force: bool) -> None:
    edited = [file.path for file in change.files if file.state is FileState.EDITED]
    if edited and not force:
        raise Conflict(
            f"{', '.join(edited)} is not as hydra-box systemd install wrote it", hint=EDITED_HINT
        )


def _refuse_unreachable() -> None:
    """Another account must be able to run this program, and homes are closed to the service."""
    for used in (sys.executable, sys.prefix, sys.base_prefix, hydra_box.__file__):
        path = Path(used).resolve()
        for step in (*reversed(path.parents), path):
            needed = 0o001 if step.is_dir() else 0o004
            if step in (Path("/home"), Path("/root")) or not step.stat().st_mode & needed:
                raise ConfigError(
                    f"{path} is part of this program, and the account of a system service cannot "
                    f"pass {step}",
                    hint="install Hydra Box where every user can read it, as in /opt/hydra-box; "
                    "or install the service of this user, with --user",
                )


def _run_all(commands: tuple[Command, ...]) -> None:
    for command in commands:
        told = " ".join(command)
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise StateError(f"{told}: {error.strerror}") from error
        if done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip()
            raise StateError(
                f"{told} ended with {done.returncode}: {said}",
                hint="journalctl -e -u hydra-box (--user-unit for a user's) may tell more",
            )
