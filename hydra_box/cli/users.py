"""``hydra-box users``."""

from __future__ import annotations

import sys

import click

from hydra_box.cli import render_keys
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say
from hydra_box.cli.verb import Verb, VerbGroup
from hydra_box.errors import InvalidRequest
from hydra_box.messages import EditUserRequest, UserView
from hydra_box.shown.numbers import count


@click.group(cls=VerbGroup, examples=("hydra-box users list",))
@click.pass_context
def users(ctx: click.Context) -> None:
    """Create, list, change and delete users, who own services and keys."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_users)


@users.command("list", cls=Verb, examples=("hydra-box users list --json",))
@click.pass_obj
def list_users(options: Options) -> None:
    """List the users, with how many keys and services each has; the first is the box's owner."""
    with connect(options) as client:
        views = client.users()
    if options.json:
        emit({"users": views})
    else:
        put(render_keys.users(views))


@users.command("create", cls=Verb, examples=("hydra-box users create mary",))
@click.argument("name")
@click.pass_obj
def create(options: Options, name: str) -> None:
    """Create the user NAME; keys create --user NAME makes a key for it."""
    with connect(options) as client:
        view = client.create_user(name)
    _show(options, view)


@users.command("show", cls=Verb, examples=("hydra-box users show mary",))
@click.argument("name")
@click.pass_obj
def show(options: Options, name: str) -> None:
    """Show the user NAME (or its id) and its keys."""
    with connect(options) as client:
        view = client.user(name)
        every_key = client.keys()
    keys = [key for key in every_key if key.owner_id == view.id]
    _show(options, view)
    if keys and not options.json:
        put(f"\n{render_keys.keys(keys)}")


@users.command("rename", cls=Verb, examples=("hydra-box users rename mary mary-smith",))
@click.argument("name")
@click.argument("new_name", metavar="NEW")
@click.pass_obj
def rename(options: Options, name: str, new_name: str) -> None:
    """Give the user NAME (or its id) the name NEW; its services' access names stay."""
    with connect(options) as client:
        view = client.edit_user(name, EditUserRequest(name=new_name))
    _show(options, view)


@users.command("disable", cls=Verb, examples=("hydra-box users disable mary",))
@click.argument("name")
@click.pass_obj
def disable(options: Options, name: str) -> None:
    """Disable the user NAME (or its id): its keys are refused, their requests end."""
    with connect(options) as client:
        view = client.edit_user(name, EditUserRequest(disabled=True))
    _show(options, view)


@users.command("enable", cls=Verb, examples=("hydra-box users enable mary",))
@click.argument("name")
@click.pass_obj
def enable(options: Options, name: str) -> None:
    """Enable the user NAME (or its id): its keys open again what they did."""
    with connect(options) as client:
        view = client.edit_user(name, EditUserRequest(disabled=False))
    _show(options, view)


@users.command("delete", cls=Verb, examples=("hydra-box users delete mary --confirm mary",))
@click.argument("name")
@click.option("--confirm", metavar="NAME", help="The name again; on a terminal it is asked for.")
@click.pass_obj
def delete(options: Options, name: str, confirm: str | None) -> None:
    """Delete the user NAME (or its id) and its keys; it must own no service."""
    with connect(options) as client:
        view = client.user(name)
        typed = confirm if confirm is not None else _ask(view)
        if typed != view.name:
            raise InvalidRequest(
                f"the confirmation {typed!r} is not the name of the user",
                hint=f"hydra-box users delete {view.name} --confirm {view.name}",
                param="confirm",
            )
        view = client.delete_user(view.id)
    if options.json:
        emit(view)
    else:
        say(f"the user {view.name} and its {count(view.keys, 'key')} are deleted")


def _ask(view: UserView) -> str:
    if not sys.stdin.isatty():
        raise InvalidRequest(
            f"deleting {view.name} needs its name once more",
            hint=f"hydra-box users delete {view.name} --confirm {view.name}",
            param="confirm",
        )
    answer: str = click.prompt(
        f"This deletes the user {view.name} and its {count(view.keys, 'key')}.\n"
        "Type the user's name to go on",
        err=True,
        default="",
        show_default=False,
    )
    return answer


def _show(options: Options, view: UserView) -> None:
    if options.json:
        emit(view)
    else:
        put(render_keys.users((view,)))
