"""``hydra-box systemd``."""

from __future__ import annotations

import os
import sys

import click

from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say
from hydra_box.cli.verb import Verb, VerbGroup
from hydra_box.errors import InvalidRequest
from hydra_box.systemd.files import FileState
from hydra_box.systemd.install import (
    Change,
    install,
    plan_install,
    plan_uninstall,
    uninstall,
    wanted_here,
)
from hydra_box.systemd.reap import reap
from hydra_box.systemd.unit import Scope

_WRITES = {
    FileState.ABSENT: "write",
    FileState.CURRENT: "keep",
    FileState.OUTDATED: "update",
    FileState.EDITED: "edited",
}

_system = click.option("--system", "scope", flag_value="system", help="For the whole machine.")
_user = click.option(
    "--user", "scope", flag_value="user", help="For this user [default: not root]."
)
_dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done, and stop.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")
_force = click.option("--force", is_flag=True, help="Also where a file was edited.")


@click.group(cls=VerbGroup, examples=("hydra-box systemd install --dry-run",))
@click.pass_context
def systemd(ctx: click.Context) -> None:
    """Let systemd start this box at boot, watch it, and stop it."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show)


@systemd.command("print", cls=Verb, examples=("hydra-box systemd print --system",))
@_system
@_user
@click.pass_obj
def show(options: Options, scope: str | None) -> None:
    """Print the units as they would be installed."""
    change = plan_install(wanted_here(_scope(scope), os.environ), os.environ)
    if options.json:
        emit({"scope": change.scope, "files": {one.path: one.text for one in change.files}})
        return
    put("\n".join(f"# {one.path}\n{one.text}" for one in change.files), newline=False)


@systemd.command(
    "install",
    cls=Verb,
    examples=("hydra-box systemd install --dry-run", "hydra-box systemd install --user --yes"),
)
@_system
@_user
@_dry_run
@_yes
@_force
@click.pass_obj
def install_units(
    options: Options, scope: str | None, *, dry_run: bool, yes: bool, force: bool
) -> None:
    """Install the units, and start the box with them; shows what it does, and asks.

    A file that was edited is never replaced, unless it is asked for. Drop-ins are left alone.
    """
    wanted = wanted_here(_scope(scope), os.environ)
    change = plan_install(wanted, os.environ)
    if not options.json:
        _tell(change, _WRITES)
    if not dry_run:
        _ask(options, yes=yes)
        install(change, wanted, force=force)
    _tell_outcome(options, change, dry_run=dry_run)


@systemd.command("uninstall", cls=Verb, examples=("hydra-box systemd uninstall --dry-run",))
@_system
@_user
@_dry_run
@_yes
@_force
@click.pass_obj
def uninstall_units(
    options: Options, scope: str | None, *, dry_run: bool, yes: bool, force: bool
) -> None:
    """Stop the box and remove its units; services, keys, models and usage stay."""
    change = plan_uninstall(wanted_here(_scope(scope), os.environ), os.environ)
    if not options.json:
        _tell(change, dict.fromkeys(FileState, "remove"))
    if change.files and not dry_run:
        _ask(options, yes=yes)
        uninstall(change, force=force)
    _tell_outcome(options, change, dry_run=dry_run)


@systemd.command("reap", cls=Verb, examples=("hydra-box systemd reap",))
@click.pass_obj
def reap_engines(options: Options) -> None:
    """End the engines of a box whose daemon is gone; the unit calls it after a stop."""
    pids = reap(os.environ)
    if options.json:
        emit({"ended": pids})
    elif pids:
        say(f"ended engine processes without a daemon: {', '.join(map(str, pids))}")


def _scope(asked: str | None) -> Scope:
    """The scope that was asked for; else the machine's for root, and their own for a user."""
    if asked is not None:
        return Scope(asked)
    return Scope.SYSTEM if os.geteuid() == 0 else Scope.USER


def _tell(change: Change, words: dict[FileState, str]) -> None:
    """Show what is going to be done."""
    if not change.files:
        say("nothing is installed")
    for file in change.files:
        say(f"{words[file.state]:<7} {file.path}")
        if file.state is FileState.EDITED:
            say(file.difference())
    for path in change.drop_ins:
        say(f"{'stays':<7} {path}")
    for command in change.commands:
        say(f"{'run' if change.manager_runs else 'remains':<7} {' '.join(command)}")


def _ask(options: Options, *, yes: bool) -> None:
    if yes:
        return
    if options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidRequest("nobody is there to be asked", hint="--yes goes on without asking")
    click.confirm("go on?", abort=True, err=True)


def _tell_outcome(options: Options, change: Change, *, dry_run: bool) -> None:
    if options.json:
        emit(
            {
                "scope": change.scope,
                "files": {one.path: one.state for one in change.files},
                "drop_ins": change.drop_ins,
                "commands": [" ".join(one) for one in change.commands],
                "commands_run": change.manager_runs and not dry_run,
                "done": bool(change.files) and not dry_run,
            }
        )
    elif not dry_run and change.files and not change.manager_runs:
        say("done; systemd does not run here: the commands above remain to be run where it does")
    elif not dry_run and change.files:
        say("done")
