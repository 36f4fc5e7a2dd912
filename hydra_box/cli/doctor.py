"""``hydra-box doctor``."""

from __future__ import annotations

import os

import click

from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, put, say, style
from hydra_box.cli.verb import Verb
from hydra_box.doctor import diagnose, diagnose_remote
from hydra_box.types import Finding, Severity

_MARKS = {
    Severity.INFO: ("ok", "green"),
    Severity.WARNING: ("warning", "yellow"),
    Severity.ERROR: ("error", "red"),
}


@click.command(
    cls=Verb,
    examples=("hydra-box doctor", "hydra-box doctor --strict --json"),
)
@click.option("--strict", is_flag=True, help="End with 1 for a warning, too.")
@click.pass_context
def doctor(ctx: click.Context, *, strict: bool) -> None:
    """Find what is wrong with this box, and what to do about it; needs no daemon.

    It looks at the program, settings, permissions, sockets and port, database, backups, clock,
    disks, memory, GPUs with driver and NVML, engines, models, systemd's unit, leftovers, and at
    what the daemon says needs attention. It changes nothing.

    The exit status is 1 if there is an error, else 0; a warning is no error but with --strict.
    """
    options = ctx.ensure_object(Options)
    with connect(options) as client:
        findings = diagnose_remote(client) if options.url else diagnose(client, os.environ)
    errors = sum(one.severity is Severity.ERROR for one in findings)
    warnings = sum(one.severity is Severity.WARNING for one in findings)
    if options.json:
        emit({"findings": findings})
    else:
        for one in findings:
            put(_line(one))
        say(f"errors: {errors}, warnings: {warnings}")
    ctx.exit(1 if errors or (strict and warnings) else 0)


def _line(finding: Finding) -> str:
    mark, colour = _MARKS[finding.severity]
    line = f"{style(f'{mark:<8}', fg=colour)} {finding.check:<16} {finding.message}"
    if finding.hint is None:
        return line
    return f"{line}\n{'':<25} {style('hint:', fg='cyan')} {finding.hint}"
