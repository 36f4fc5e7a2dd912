"""``hydra-box keys``."""

from __future__ import annotations

from typing import Unpack

import click

from hydra_box.cli import render_keys
from hydra_box.cli.connection import connect
from hydra_box.cli.key_options import Changes, Terms, changed_key, changes, new_key, terms
from hydra_box.cli.key_values import Span
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say
from hydra_box.cli.verb import Verb, VerbGroup
from hydra_box.messages import CreatedKey, EditKeyRequest, KeyView
from hydra_box.shown.numbers import count, duration


@click.group(cls=VerbGroup, examples=("hydra-box keys list",))
@click.pass_context
def keys(ctx: click.Context) -> None:
    """Create, list, change, rotate and revoke API keys."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_keys)


@keys.command(
    "create",
    cls=Verb,
    examples=(
        "KEY=$(hydra-box keys create --name my-app)",
        "hydra-box keys create --name laptop --scope inference --scope admin",
        "hydra-box keys create --name guest --expires 30d --model 'public/*'",
        "hydra-box keys create --name mary-pc --user mary --quota 100000/day --deny '*/big-*'",
    ),
)
@click.option("--name", required=True, metavar="NAME", help="What it is for.")
@terms
@click.pass_obj
def create(options: Options, *, name: str, **given: Unpack[Terms]) -> None:
    """Create a key and print it: this once, only its SHA-256 is kept."""
    request = new_key(name, given)
    with connect(options) as client:
        created = client.create_key(request)
    _show_secret(
        options,
        created,
        f"the key {created.name} ({', '.join(created.scopes)}); it is not shown again",
    )


@keys.command("list", cls=Verb, examples=("hydra-box keys list", "hydra-box keys list --json"))
@click.option("--all", "show_all", is_flag=True, help="Those that are revoked, too.")
@click.pass_obj
def list_keys(options: Options, show_all: bool = False) -> None:
    """List the keys, masked, with their last use and what they may do.

    With --json it is all of them, those that are revoked (revoked_at) too.
    """
    with connect(options) as client:
        views = client.keys()
    if options.json:
        emit({"keys": views})
        return
    shown = [view for view in views if show_all or view.revoked_at is None]
    put(render_keys.keys(shown))
    if hidden := len(views) - len(shown):
        say(f"not shown: {count(hidden, 'revoked key')}; hydra-box keys list --all shows them, too")


@keys.command("show", cls=Verb, examples=("hydra-box keys show my-app",))
@click.argument("name")
@click.pass_obj
def show(options: Options, name: str) -> None:
    """Show all that is known of the key NAME (or its id), but its secret."""
    with connect(options) as client:
        view = client.key(name)
    if options.json:
        emit(view)
    else:
        put(render_keys.page(view))


@keys.command(
    "edit",
    cls=Verb,
    examples=(
        "hydra-box keys edit guest --expires 7d --quota 200000/week",
        "hydra-box keys edit guest --model 'public/*' --deny public/big --name visitor",
        "hydra-box keys edit guest --expires never --any-model --requests-per-minute none",
    ),
)
@click.argument("name")
@changes
@click.pass_obj
def edit(options: Options, *, name: str, **given: Unpack[Changes]) -> None:
    """Change the key NAME (or its id): what is not given stays as it is.

    It counts from the next request on; its secret stays, and so do its requests under way.
    """
    request = changed_key(given)
    with connect(options) as client:
        view = client.edit_key(name, request)
    _show(options, view)


@keys.command(
    "rotate",
    cls=Verb,
    examples=(
        "KEY=$(hydra-box keys rotate my-app)",
        "hydra-box keys rotate my-app --grace 24h",
    ),
)
@click.argument("name")
@click.option(
    "--grace",
    type=Span(),
    default=0.0,
    metavar="SPAN",
    help="How long the old secret still opens: 24h, 7d; 90d at most [default: not any more].",
)
@click.pass_obj
def rotate(options: Options, name: str, grace: float) -> None:
    """Give the key NAME (or its id) a new secret and print that: this once."""
    with connect(options) as client:
        created = client.rotate_key(name, grace_seconds=grace)
    old = f"opens for {duration(grace)} more" if grace else "opens nothing any more"
    _show_secret(
        options,
        created,
        f"the new secret of the key {created.name}; it is not shown again, and the old one {old}",
    )


@keys.command("disable", cls=Verb, examples=("hydra-box keys disable my-app",))
@click.argument("name")
@click.pass_obj
def disable(options: Options, name: str) -> None:
    """Disable the key NAME (or its id): it is refused, and its requests end, until enabled."""
    with connect(options) as client:
        view = client.edit_key(name, EditKeyRequest(disabled=True))
    _show(options, view)


@keys.command("enable", cls=Verb, examples=("hydra-box keys enable my-app",))
@click.argument("name")
@click.pass_obj
def enable(options: Options, name: str) -> None:
    """Enable the key NAME (or its id), which was disabled."""
    with connect(options) as client:
        view = client.edit_key(name, EditKeyRequest(disabled=False))
    _show(options, view)


@keys.command("revoke", cls=Verb, examples=("hydra-box keys revoke my-app",))
@click.argument("name")
@click.pass_obj
def revoke(options: Options, name: str) -> None:
    """Revoke the key NAME (or its id), for good: it is refused, and its requests end."""
    with connect(options) as client:
        view = client.revoke_key(name)
    _show(options, view)


def _show(options: Options, view: KeyView) -> None:
    if options.json:
        emit(view)
    else:
        put(render_keys.keys((view,)))


def _show_secret(options: Options, created: CreatedKey, words: str) -> None:
    if options.json:
        emit(created)
        return
    put(created.key)
    say(words)
