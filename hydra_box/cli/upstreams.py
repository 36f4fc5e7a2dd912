"""``hydra-box upstreams``."""

from __future__ import annotations

from typing import Unpack

import click
import msgspec
from msgspec import UNSET, UnsetType

from hydra_box.cli import render_upstreams as render
from hydra_box.cli.connection import connect
from hydra_box.cli.finite import Finite
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say
from hydra_box.cli.upstream_options import Named, read_key, request_of, upstream_options
from hydra_box.cli.verb import Verb, VerbGroup
from hydra_box.client import Client
from hydra_box.messages import EditUpstreamRequest, UpstreamView


@click.group(cls=VerbGroup, examples=("hydra-box upstreams list",))
@click.pass_context
def upstreams(ctx: click.Context) -> None:
    """Set the remote endpoints that serve public services, beside instances or alone."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_upstreams, service=None)


@upstreams.command(
    "add",
    cls=Verb,
    examples=(
        "hydra-box upstreams add qwen2 https://api.example.com/v1 --model qwen2-72b --key-file key",
        "hydra-box upstreams add qwen2 http://10.0.0.7/v1 --model public/qwen2 --allow-private",
    ),
)
@click.argument("service")
@click.argument("address", metavar="URL")
@upstream_options("")
@click.pass_obj
def add(options: Options, service: str, address: str, **named: Unpack[Named]) -> None:
    """Have URL, an OpenAI-compatible endpoint, serve the public SERVICE too.

    Its key is read from a file, or from HYDRA_BOX_UPSTREAM_KEY, and kept by the box, unseen.
    """
    with connect(options) as client:
        _show(options, service, client.add_upstream(service, request_of(address, named)))


@upstreams.command("list", cls=Verb, examples=("hydra-box upstreams list qwen2 --json",))
@click.argument("service", required=False)
@click.pass_obj
def list_upstreams(options: Options, service: str | None) -> None:
    """List the upstreams of SERVICE, or of every service, with their health."""
    with connect(options) as client:
        found = _by_service(client, service)
    if options.json:
        emit({"upstreams": [one for name, views in found.items() for one in _named(name, views)]})
        return
    put(render.upstreams(found))


@upstreams.command(
    "edit", cls=Verb, examples=("hydra-box upstreams edit qwen2 up-0123456789ab --weight 3",)
)
@click.argument("service")
@click.argument("id")
@click.option("--model", metavar="NAME", help="What the model is called there.")
@click.option("--key-file", metavar="FILE", help="Has its new key; - reads it from stdin.")
@click.option("--no-key", is_flag=True, help="It takes no key any more.")
@click.option("--weight", type=Finite(), metavar="W", help="Its share beside others.")
@click.option("--most-requests", type=int, metavar="N", help="Given to it at once.")
@click.pass_obj
def edit(
    options: Options,
    service: str,
    id: str,
    *,
    model: str | None,
    key_file: str | None,
    no_key: bool,
    weight: float | None,
    most_requests: int | None,
) -> None:
    """Change the upstream ID of SERVICE; what it answers already goes on."""
    if key_file is not None and no_key:
        raise click.UsageError("give one of --key-file and --no-key")
    key: str | UnsetType | None = UNSET if key_file is None else read_key(key_file)
    request = EditUpstreamRequest(
        model=UNSET if model is None else model,
        api_key=None if no_key else key,
        weight=UNSET if weight is None else weight,
        most_requests=UNSET if most_requests is None else most_requests,
    )
    if request == EditUpstreamRequest():
        raise click.UsageError("give at least one thing to change")
    with connect(options) as client:
        _show(options, service, client.edit_upstream(service, id, request))


@upstreams.command(
    "remove", cls=Verb, examples=("hydra-box upstreams remove qwen2 up-0123456789ab",)
)
@click.argument("service")
@click.argument("id")
@click.pass_obj
def remove(options: Options, service: str, id: str) -> None:
    """Take the upstream ID away from SERVICE, with its key, after its requests under way."""
    with connect(options) as client:
        view = client.remove_upstream(service, id)
    if options.json:
        emit(view)
    else:
        say(f"{view.id} is removed")


@upstreams.command("check", cls=Verb, examples=("hydra-box upstreams check qwen2",))
@click.argument("service")
@click.pass_obj
def check(options: Options, service: str) -> None:
    """Ask every upstream of SERVICE for its health now."""
    with connect(options) as client:
        ids = [one.id for one in client.upstreams(service)]
        views = tuple(client.check_upstream(service, id) for id in ids)
    if options.json:
        emit({"upstreams": _named(service, views)})
    else:
        put(render.upstreams({service: views}))


def _by_service(client: Client, service: str | None) -> dict[str, tuple[UpstreamView, ...]]:
    if service is not None:
        return {service: client.upstreams(service)}
    return {view.name: view.upstreams for view in client.services()}


def _named(service: str, views: tuple[UpstreamView, ...]) -> list[dict[str, object]]:
    """Each with its service, by which it is edited and removed."""
    return [{"service": service, **msgspec.structs.asdict(one)} for one in views]


def _show(options: Options, service: str, view: UpstreamView) -> None:
    if options.json:
        emit(view)
    else:
        put(render.upstreams({service: (view,)}))
