"""What every verb takes: where the daemon is, the key for it, and how to print."""

from __future__ import annotations

from dataclasses import dataclass

import click


@dataclass
class Options:
    """The global options, gathered from the program's and the verb's own; the verb's win."""

    url: str | None = None
    api_key: str | None = None
    json: bool = False


def common_options() -> list[click.Parameter]:
    """The options that may stand before the verb and after it."""
    return [
        click.Option(
            ["--json", "json"],
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Print exactly one JSON object on stdout.",
        ),
        click.Option(
            ["--url"],
            metavar="URL",
            expose_value=False,
            callback=_remember,
            help="A daemon elsewhere, over TCP [env: HYDRA_BOX_URL].",
        ),
        click.Option(
            ["--api-key"],
            metavar="KEY",
            expose_value=False,
            callback=_remember,
            help="An admin key, for --url; safer in the environment [env: HYDRA_BOX_API_KEY].",
        ),
    ]


def _remember(ctx: click.Context, param: click.Parameter, value: str | bool | None) -> None:
    options = ctx.ensure_object(Options)
    if value and param.name:
        setattr(options, param.name, value)
