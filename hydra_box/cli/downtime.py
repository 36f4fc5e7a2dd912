"""What would leave a service unserved for a while: asked, where somebody can answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from hydra_box.cli.options import Options
from hydra_box.cli.output import say
from hydra_box.errors import DowntimeNeeded

T = TypeVar("T")


def unless_away(options: Options, do: Callable[[bool], T], *, allowed: bool) -> T:
    """Do something; if nothing would serve meanwhile, only when somebody says that it may be.

    Args:
        options: whether JSON is wanted: then nobody is asked.
        do: does it; given whether downtime is allowed.
        allowed: whether it was allowed on the command line.

    Raises:
        DowntimeNeeded: it was not allowed.
    """
    try:
        return do(allowed)
    except DowntimeNeeded as error:
        if options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        say(error.message)
        if not click.confirm("Do it nevertheless?", err=True):
            raise
        return do(True)
