"""``hydra-box keys``."""

from __future__ import annotations

import click

from hydra_box.cli import render
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say
from hydra_box.cli.verb import Verb, VerbGroup
from hydra_box.messages import CreateKeyRequest
from hydra_box.types import Scope


@click.group(cls=VerbGroup, examples=("hydra-box keys list",))
@click.pass_context
def keys(ctx: click.Context) -> None:
    """Create, list and revoke API keys."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_keys)


@keys.command(
    "create",
    cls=Verb,
    examples=(
        "KEY=$(hydra-box keys create --name my-app)",
        "hydra-box keys create --name laptop --scope inference --scope admin",
    ),
)
@click.option("--name", required=True, metavar="NAME", help="What it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    default=(Scope.INFERENCE.value,),
    show_default=True,
    help="What it may do; may be given twice.",
)
@click.pass_obj
def create(options: Options, name: str, scopes: tuple[str, ...]) -> None:
    """Create a key and print it: this once, only its SHA-256 is kept."""
    unique = tuple(dict.fromkeys(Scope(scope) for scope in scopes))
    with connect(options) as client:
        created = client.create_key(CreateKeyRequest(name=name, scopes=unique))
    if options.json:
        emit(created)
        return
    put(created.key)
    say(f"the key {created.name} ({', '.join(created.scopes)}); it is not shown again")


@keys.command("list", cls=Verb, examples=("hydra-box keys list --json",))
@click.pass_obj
def list_keys(options: Options) -> None:
    """List the keys, masked, with their last use."""
    with connect(options) as client:
        views = client.keys()
    if options.json:
        emit({"keys": views})
    else:
        put(render.keys(views))


@keys.command("revoke", cls=Verb, examples=("hydra-box keys revoke my-app",))
@click.argument("name")
@click.pass_obj
def revoke(options: Options, name: str) -> None:
    """Revoke the key NAME (or its id): from now on it is refused."""
    with connect(options) as client:
        view = client.revoke_key(name)
    if options.json:
        emit(view)
    else:
        put(render.keys((view,)))
