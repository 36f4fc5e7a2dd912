"""The commands behind the verbs: common options, examples in the help, typed failures."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from hydra_box.cli.failure import report
from hydra_box.cli.options import Options, common_options
from hydra_box.errors import HydraError

CLOSED_PIPE: Final = 141
"""The shell's word for "the reader went away": 128 + SIGPIPE."""


class _WithExamples(click.Command):
    """A command with the common options, and examples at the end of its help."""

    def __init__(self, name: str | None, *, examples: Sequence[str], **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.examples = tuple(examples)
        self.params.extend(common_options())

    def format_epilog(
        self,
        ctx: click.Context,  # noqa: ARG002 - as click has it
        formatter: click.HelpFormatter,
    ) -> None:
        """The examples, as they would be typed."""
        with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; a failure is told, and becomes the exit status."""
        try:
            return super().invoke(ctx)
        except HydraError as error:
            report(error, as_json=ctx.ensure_object(Options).json)
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(CLOSED_PIPE)


class Verb(_WithExamples):
    """One verb."""


class VerbGroup(_WithExamples, click.Group):
    """A verb with verbs of its own; alone, it does what its function does."""

    def __init__(self, name: str | None, *, examples: Sequence[str], **attributes: Any) -> None:
        super().__init__(name, examples=examples, invoke_without_command=True, **attributes)
