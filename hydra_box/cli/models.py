"""``hydra-box models``."""

from __future__ import annotations

import click

from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, size, table
from hydra_box.cli.verb import Verb, VerbGroup
from hydra_box.messages import ModelView


@click.group(cls=VerbGroup, examples=("hydra-box models list",))
@click.pass_context
def models(ctx: click.Context) -> None:
    """List the base models that can be deployed by name."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@models.command("list", cls=Verb, examples=("hydra-box models list --json",))
@click.pass_obj
def list_models(options: Options) -> None:
    """List the catalog: what `deploy` knows by name, and which services use it."""
    with connect(options) as client:
        views = client.models()
    if options.json:
        emit({"models": views})
    else:
        put(_table(views))


def _table(views: tuple[ModelView, ...] | list[ModelView]) -> str:
    headers = ("MODEL", "NAME", "PARAMETERS", "SIZE", "CONTEXT", "TYPE", "LICENSE", "SERVICES")
    rows = [
        (
            view.spec.id,
            view.spec.name,
            "-" if view.spec.parameters is None else _count(view.spec.parameters),
            size(view.spec.size_bytes),
            f"{view.spec.context_length:,}",
            view.spec.quantization or "-",
            view.spec.license or "-",
            ", ".join(view.services) or "-",
        )
        for view in views
    ]
    return table(headers, rows, right=(2, 3, 4)) if rows else "the catalog is empty"


def _count(parameters: int) -> str:
    """A number of parameters as the field writes it: ``7.6 B``."""
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if parameters >= unit:
            return f"{parameters / unit:.1f} {name}"
    return str(parameters)
