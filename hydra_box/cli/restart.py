"""``hydra-box restart``."""

from __future__ import annotations

import time
from typing import Final

import click

from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put
from hydra_box.cli.progress import Progress
from hydra_box.cli.verb import Verb
from hydra_box.client import Client
from hydra_box.errors import DaemonUnreachable, StateError
from hydra_box.messages import BoxStatus, RestartView, Successor
from hydra_box.shown.numbers import count, duration

POLL_SECONDS: Final = 0.1
START_SECONDS: Final = 60.0
"""How long nobody may answer: between two daemons connections wait, and are not refused."""


@click.command(
    cls=Verb,
    examples=(
        "hydra-box restart --wait",
        "pip install --upgrade hydra-box && hydra-box restart --wait",
    ),
)
@click.option("--wait", is_flag=True, help="Return when the new daemon answers.")
@click.pass_obj
def restart(options: Options, wait: bool) -> None:
    """Replace the daemon by the one that is on the disk: another version, other settings.

    Engines go on, requests under way finish, and new connections wait until the new daemon answers.
    One that does not start is refused, and the old one goes on.
    """
    with connect(options) as client:
        before, begun_at = client.status(), time.monotonic()
        asked = client.restart()
        if not wait:
            _show(options, asked, f"the daemon, pid {asked.pid}, restarts; its engines go on")
            return
        after = _wait(client, asked)
    told = Successor(
        pid=after.pid,
        version_before=before.version,
        version=after.version,
        seconds=time.monotonic() - begun_at,
        engine_pids=tuple(sorted(_pids(before) & _pids(after))),
        lost_pids=tuple(sorted(_pids(before) - _pids(after))),
    )
    _show(options, told, _words(told))


def _wait(client: Client, asked: RestartView) -> BoxStatus:
    """The status of the daemon that follows.

    Raises:
        StateError: nobody answers.
    """
    with Progress() as progress:
        unanswered_since = None
        while True:
            try:
                status = client.status()
            except DaemonUnreachable as error:
                unanswered_since = unanswered_since or time.monotonic()
                if time.monotonic() - unanswered_since > START_SECONDS:
                    raise StateError(
                        f"no daemon answers for {START_SECONDS:g} s, and the one before is gone",
                        hint="start it again (hydra-box serve): the engines go on meanwhile",
                    ) from error
            else:
                unanswered_since = None
                if status.started_at != asked.started_at:
                    return status
            progress.show("requests under way finish, and the new daemon starts")
            time.sleep(POLL_SECONDS)


def _pids(box: BoxStatus) -> set[int]:
    return {one.pid for view in box.services for one in view.instances if one.pid is not None}


def _words(told: Successor) -> str:
    version = f"Hydra Box {told.version_before} is {told.version} now"
    if told.version_before == told.version:
        version = f"Hydra Box {told.version} has restarted"
    pids = "".join(f" {pid}" for pid in told.engine_pids)
    engines = f"{count(len(told.engine_pids), 'engine')} went on{pids and f' (pid{pids})'}"
    lost = f"; ended meanwhile: {' '.join(map(str, told.lost_pids))}" if told.lost_pids else ""
    return f"{version}, pid {told.pid}, in {duration(told.seconds)}; {engines}{lost}"


def _show(options: Options, value: RestartView | Successor, words: str) -> None:
    if options.json:
        emit(value)
    else:
        put(words)
