"""The terms of a service, as one types them: its price, its idle timeout, its priority."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

import click

from hydra_box.cli.finite import Finite
from hydra_box.shown.spans import NEVER, seconds_of
from hydra_box.types import Price

F = TypeVar("F", bound=Callable[..., Any])


class Terms(TypedDict):
    """The values of ``terms_options``."""

    idle_timeout: float | None
    price_input: float | None
    price_output: float | None
    priority: int | None


class IdleTimeout(click.ParamType[float]):
    """A span (``90s``, ``15m``, ``2h``), or ``never``, which is 0."""

    name = "idle timeout"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        if value == NEVER:
            return 0.0
        seconds = seconds_of(value)
        if not seconds:
            self.fail(f"{value!r} is neither like 90s, 15m or 2h nor 'never'", param, ctx)
        return seconds


def terms_options(command: F) -> F:
    """Give a verb the options for the terms of a service."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def price_of(terms: Terms) -> Price | None:
    """The price that was asked for; None: none was."""
    prices = (terms["price_input"], terms["price_output"])
    match prices:
        case (None, None):
            return None
        case (float(input_price), float(output_price)):
            return Price(input_per_million=input_price, output_per_million=output_price)
    raise click.UsageError("give both of --price-input and --price-output")


_OPTIONS = (
    click.option(
        "--idle-timeout",
        type=IdleTimeout(),
        metavar="SPAN",
        help="Without a request for 15m (or 90s, 2h) it sleeps, and wakes at the next; or never.",
    ),
    click.option(
        "--price-input",
        type=Finite(),
        metavar="X",
        help="What a million prompt tokens cost; with --price-output.",
    ),
    click.option(
        "--price-output", type=Finite(), metavar="Y", help="What a million answered tokens cost."
    ),
    click.option(
        "--priority",
        type=click.IntRange(0, 100),
        metavar="N",
        help="0 to 100: when many have to start, as after a boot, the highest comes first.",
    ),
)
