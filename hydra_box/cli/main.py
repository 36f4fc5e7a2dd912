"""The program ``hydra-box``: finds the verb and imports only that one's module.

Only click and the standard library are imported here, so that ``hydra-box --help`` is quick.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from hydra_box import __version__
from hydra_box.cli.options import Options, common_options

INTERRUPTED: Final = 130
"""The shell's word for "ended by Ctrl-C": 128 + SIGINT."""

VERBS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("serve", "Run the daemon in the foreground."),
    "quickstart": ("quickstart", "Go from nothing to a first answer, on the demo model."),
    "status": ("status", "Show the box, its services and what needs attention."),
    "restart": ("restart", "Replace the daemon by the one on the disk; the engines go on."),
    "gpus": ("gpus", "Show the GPUs, CPU, memory and disk of this machine."),
    "doctor": ("doctor", "Find what is wrong with this box, and what to do about it."),
    "models": ("models", "List the catalog; fetch, import, verify and remove models."),
    "plan": ("plan", "Show what would run where for a model, and why; change nothing."),
    "deploy": ("deploy", "Deploy a model as a service."),
    "scale": ("scale", "Change how many instances a service has."),
    "edit": ("edit", "Change how a service runs; its instances are replaced."),
    "start": ("lifecycle", "Start a stopped service."),
    "stop": ("lifecycle", "Stop a service; it stays, and can be started again."),
    "delete": ("lifecycle", "Delete a service for good."),
    "upstreams": ("upstreams", "Set the remote endpoints that serve public services."),
    "trial": ("trial", "Try a service: ask it something, or chat with it."),
    "logs": ("logs", "Show what an engine printed."),
    "users": ("users", "Create, list, change and delete users, who own services and keys."),
    "keys": ("keys", "Create, list, change, rotate and revoke API keys."),
    "usage": ("usage", "Show requests and tokens of each model or key, and over time."),
    "engines": ("engines", "List, install, verify, pin and remove engine runtimes."),
    "backup": ("backup", "Write a backup of the whole box into one file."),
    "restore": ("restore", "Put a backup in the place of this machine's state."),
    "support-bundle": ("support_bundle", "Gather what helps to find a fault, without secrets."),
    "systemd": ("systemd", "Let systemd start, watch and stop this box."),
}
"""Verb to its module in ``hydra_box.cli`` (where the command has the verb's name) and its line."""


class Program(click.Group):
    """A group whose verbs are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click has it
        """The verbs, in the order in which one needs them."""
        return list(VERBS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - as click has it
        cmd_name: str,
    ) -> click.Command | None:
        """The verb's command, from its module."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"hydra_box.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - as click has it
        formatter: click.HelpFormatter,
    ) -> None:
        """The list of verbs, without importing them."""
        with formatter.section("Commands"):
            # So wide as the usual verb: a longer one has its line below it.
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()], col_max=10)


@click.group(
    cls=Program,
    params=common_options(),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="hydra-box", message="%(prog)s %(version)s")
@click.pass_context
def program(ctx: click.Context) -> None:
    """Turn this machine into an LLM appliance: deploy, scale, try and watch models.

    Without a verb, on a terminal, it opens the console. `hydra-box quickstart` goes from nothing to
    a first answer. Each verb has its own --help, with an example.
    """
    options = ctx.ensure_object(Options)
    options.url = options.url or os.environ.get("HYDRA_BOX_URL") or None
    options.api_key = options.api_key or os.environ.get("HYDRA_BOX_API_KEY") or None
    if ctx.invoked_subcommand is not None:
        return
    if options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo(ctx.get_help())
        return
    from hydra_box.cli.console import open_console  # noqa: PLC0415 - only when it is needed

    ctx.exit(open_console(options))


def run(arguments: Sequence[str]) -> int:
    """Run the program; the answer is its exit status."""
    try:
        status = program.main(list(arguments), prog_name="hydra-box", standalone_mode=False)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        from hydra_box.cli.failure import report_usage  # noqa: PLC0415 - only when it is needed

        return report_usage(error, arguments)
    return status if isinstance(status, int) else 0


def main() -> NoReturn:
    """The entry point of the script."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A model's name that the terminal cannot show is no reason to fail.
        sys.stdout.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))
