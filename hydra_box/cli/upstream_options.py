"""What an upstream is given by, on the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypedDict, TypeVar

import click

from hydra_box.cli.finite import Finite
from hydra_box.errors import InvalidRequest
from hydra_box.messages import UpstreamRequest

F = TypeVar("F", bound=Callable[..., Any])

KEY_VARIABLE: Final = "HYDRA_BOX_UPSTREAM_KEY"
STDIN: Final = "-"
DEFAULT_WEIGHT: Final = 1.0
DEFAULT_MOST_REQUESTS: Final = 64


class Named(TypedDict):
    """The values of ``upstream_options``."""

    upstream_model: str | None
    upstream_key_file: str | None
    upstream_weight: float
    upstream_most_requests: int
    allow_private: bool


def upstream_options(prefix: str) -> Callable[[F], F]:
    """Give a verb the options of an upstream; their names begin with the prefix."""

    def decorate(command: F) -> F:
        for option in reversed(_options(prefix)):
            command = option(command)
        return command

    return decorate


def request_of(url: str, named: Named) -> UpstreamRequest:
    """The upstream at a URL."""
    model = named["upstream_model"]
    if model is None:
        raise click.UsageError("give the model's name at the upstream: --upstream-model NAME")
    key_file = named["upstream_key_file"]
    key = os.environ.get(KEY_VARIABLE) if key_file is None else read_key(key_file)
    return UpstreamRequest(
        base_url=url,
        model=model,
        api_key=key or None,
        weight=named["upstream_weight"],
        most_requests=named["upstream_most_requests"],
        allow_private=named["allow_private"],
    )


def says_anything(named: Named) -> bool:
    """Whether any of ``upstream_options`` was given, other than as it is without."""
    return bool(
        named["upstream_model"]
        or named["upstream_key_file"]
        or named["allow_private"]
        or named["upstream_weight"] != DEFAULT_WEIGHT
        or named["upstream_most_requests"] != DEFAULT_MOST_REQUESTS
    )


def read_key(file: str) -> str:
    """The key in a file."""
    try:
        text = sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InvalidRequest(f"the key file {file} cannot be read: {told}") from error
    if not (key := text.strip()):
        raise InvalidRequest(f"the key file {file} is empty")
    return key


def _options(prefix: str) -> tuple[Callable[[F], F], ...]:
    return (
        click.option(
            f"--{prefix}model",
            "upstream_model",
            required=not prefix,
            metavar="NAME",
            help="What the model is called there.",
        ),
        click.option(
            f"--{prefix}key-file",
            "upstream_key_file",
            metavar="FILE",
            help=f"Has its key; - reads it from stdin [env: {KEY_VARIABLE}, the key itself].",
        ),
        click.option(
            f"--{prefix}weight",
            "upstream_weight",
            type=Finite(),
            default=DEFAULT_WEIGHT,
            show_default=True,
            metavar="W",
            help="Its share of the requests beside other upstreams.",
        ),
        click.option(
            f"--{prefix}most-requests",
            "upstream_most_requests",
            type=int,
            default=DEFAULT_MOST_REQUESTS,
            show_default=True,
            metavar="N",
            help="Given to it at once.",
        ),
        click.option(
            "--allow-private",
            is_flag=True,
            help="It may be at a private, loopback or link-local address.",
        ),
    )
