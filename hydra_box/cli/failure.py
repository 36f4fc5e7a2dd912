"""How a failure is told: fact and hint on stderr, the error object on stdout for ``--json``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from hydra_box.cli.output import emit, say, style
from hydra_box.errors import HydraError, InvalidRequest


def report(error: HydraError, *, as_json: bool) -> None:
    """Tell a person, and a script if one asked."""
    say(f"{style('error:', fg='red', bold=True)} {error.message}")
    if error.hint:
        say(f"{style('hint:', fg='cyan')} {error.hint}")
    if as_json:
        emit(error.body())


def report_usage(error: click.ClickException, arguments: Sequence[str]) -> int:
    """Tell that the command line itself is wrong; the answer is the exit status.

    Parsing has failed, so whether ``--json`` was asked for is read from the words themselves.
    """
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"{ctx.command_path} --help shows how it is used" if ctx else None
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    report(
        InvalidRequest(error.format_message().removesuffix("."), hint=hint),
        as_json="--json" in words,
    )
    return error.exit_code
