"""``hydra-box serve``."""

from __future__ import annotations

import click

from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put
from hydra_box.cli.verb import Verb


@click.command(cls=Verb, examples=("hydra-box serve", "hydra-box serve --host 0.0.0.0 --port 8080"))
@click.option("--host", metavar="ADDRESS", help="Listen here [default: 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), metavar="PORT", help="[default: 4937]")
@click.option("--tls-certificate", metavar="FILE", help="Speak https with this certificate (PEM).")
@click.option("--tls-key", metavar="FILE", help="The certificate's key (PEM).")
@click.option("--check", is_flag=True, help="Only see whether it would start; change nothing.")
@click.pass_context
def serve(
    ctx: click.Context,
    host: str | None,
    port: int | None,
    tls_certificate: str | None,
    tls_key: str | None,
    check: bool,
) -> None:
    """Run the daemon in the foreground, until Ctrl-C or SIGTERM.

    Any address but loopback needs at least one API key that opens something. The log goes to
    stderr.
    """
    from hydra_box import daemon  # noqa: PLC0415 - only this verb may know the daemon

    if check:
        version = daemon.check(host, port, tls_certificate, tls_key)
        if ctx.ensure_object(Options).json:
            emit({"version": version})
        else:
            put(f"Hydra Box {version} would start")
        return
    ctx.exit(daemon.run(host, port, tls_certificate, tls_key))
