"""``hydra-box serve``."""

from __future__ import annotations

import click

from hydra_box.cli.verb import Verb


@click.command(cls=Verb, examples=("hydra-box serve", "hydra-box serve --host 0.0.0.0 --port 8080"))
@click.option("--host", metavar="ADDRESS", help="Listen here [default: 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), metavar="PORT", help="[default: 4937]")
@click.pass_context
def serve(ctx: click.Context, host: str | None, port: int | None) -> None:
    """Run the daemon in the foreground, until Ctrl-C or SIGTERM.

    Any address but loopback needs at least one API key. The log goes to stderr.
    """
    from hydra_box import daemon  # noqa: PLC0415 - only this verb may know the daemon

    ctx.exit(daemon.run(host, port))
