"""``hydra-box keys``."""

from __future__ import annotations

import click

from hydra_box.cli import render
from hydra_box.cli.connection import connect
from hydra_box.cli.expiry import Expiry
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say
from hydra_box.cli.verb import Verb, VerbGroup
from hydra_box.messages import CreateKeyRequest
from hydra_box.types import KeyLimits, Scope


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
        "hydra-box keys create --name guest --expires 30d --model 'public/*'",
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
@click.option(
    "--expires",
    type=Expiry(),
    metavar="WHEN",
    help="When it ends: in 12h, 30d or 4w, or as the day 2027-01-31 begins [default: never].",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="GLOB",
    help="Access names that it may call: 'public/*'; may be repeated [default: all].",
)
@click.option(
    "--requests-per-minute",
    type=click.IntRange(min=1),
    metavar="N",
    help="More are refused [default: no limit].",
)
@click.option(
    "--tokens-per-minute",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of prompts and answers [default: no limit].",
)
@click.option(
    "--concurrent-requests",
    type=click.IntRange(min=1),
    metavar="N",
    help="Running or waiting [default: the setting key_concurrency_limit].",
)
@click.pass_obj
def create(
    options: Options,
    *,
    name: str,
    scopes: tuple[str, ...],
    expires: float | None,
    models: tuple[str, ...],
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    concurrent_requests: int | None,
) -> None:
    """Create a key and print it: this once, only its SHA-256 is kept."""
    request = CreateKeyRequest(
        name=name,
        scopes=tuple(dict.fromkeys(Scope(scope) for scope in scopes)),
        expires_at=expires,
        models=models,
        limits=KeyLimits(
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            concurrent_requests=concurrent_requests,
        ),
    )
    with connect(options) as client:
        created = client.create_key(request)
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
