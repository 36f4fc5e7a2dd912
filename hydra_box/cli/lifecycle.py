"""``hydra-box start``, ``stop`` and ``delete``."""

from __future__ import annotations

import sys

import click

from hydra_box.cli import render
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put
from hydra_box.cli.verb import Verb
from hydra_box.cli.waiting import wait_gone, wait_running, wait_stopped
from hydra_box.errors import InvalidRequest
from hydra_box.messages import ServiceView
from hydra_box.shown.numbers import count


@click.command(cls=Verb, examples=("hydra-box start qwen2 --wait",))
@click.argument("name")
@click.option("--wait", is_flag=True, help="Return when it is RUNNING; status 7 if it FAILED.")
@click.pass_obj
def start(options: Options, name: str, wait: bool) -> None:
    """Start the service NAME, which was stopped or has FAILED."""
    with connect(options) as client:
        view = client.start(name)
        if wait:
            view = wait_running(client, view)
    _show(options, view)


@click.command(cls=Verb, examples=("hydra-box stop qwen2 --wait",))
@click.argument("name")
@click.option("--wait", is_flag=True, help="Return when its engines are gone.")
@click.pass_obj
def stop(options: Options, name: str, wait: bool) -> None:
    """Stop the service NAME: requests under way finish, its name and settings stay."""
    with connect(options) as client:
        view = client.stop(name)
        if wait:
            view = wait_stopped(client, view)
    _show(options, view)


@click.command(cls=Verb, examples=("hydra-box delete qwen2 --confirm qwen2",))
@click.argument("name")
@click.option("--confirm", metavar="NAME", help="The name again; on a terminal it is asked for.")
@click.option("--no-wait", is_flag=True, help="Do not wait until nothing of it is left.")
@click.pass_obj
def delete(options: Options, name: str, confirm: str | None, no_wait: bool) -> None:
    """Delete the service NAME for good, after its requests under way have finished."""
    with connect(options) as client:
        view = client.service(name)
        view = client.delete(view.name, confirm if confirm is not None else _ask(view))
        if not no_wait:
            wait_gone(client, view)
    if options.json or no_wait:
        _show(options, view)


def _ask(view: ServiceView) -> str:
    if not sys.stdin.isatty():
        raise InvalidRequest(
            f"deleting {view.name} needs its name once more",
            hint=f"hydra-box delete {view.name} --confirm {view.name}",
            param="confirm",
        )
    answer: str = click.prompt(
        f"This deletes {view.access_name} and its {count(len(view.instances), 'instance')}.\n"
        "Type the service's name to go on",
        err=True,
        default="",
        show_default=False,
    )
    return answer


def _show(options: Options, view: ServiceView) -> None:
    if options.json:
        emit(view)
    else:
        put(render.services((view,)))
