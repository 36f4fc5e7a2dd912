"""Opens the console; ``hydra-box`` without a verb ends up here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tui.console import Console
from tui.link import Connect
from tui.notebook import Notebook
from tui.session import StartWay
from tui.tidying import seldom


def run(
    connect: Connect, *, directory: Path, address: str | None, start_ways: Sequence[StartWay]
) -> int:
    """Open the console and stay until it is closed; the answer is the exit status.

    Args:
        connect: makes a client of the box.
        directory: where the console keeps its own files: theme, history of trials.
        address: the box's URL as it was given; None: over the UNIX socket.
        start_ways: how a daemon can be started when none answers.
    """
    console = Console(connect, notebook=Notebook(directory), address=address, start_ways=start_ways)
    with seldom():
        console.run()
    return console.return_code or 0
