"""A question with its answers, side by side where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from hydra_box.shown.numbers import size
from hydra_box.shown.text import harmless
from tui.trial.conversation import Turn
from tui.widgets.trial_answer import TrialAnswer

NARROWEST: Final = 36
"""Characters of a column that can still be read; with fewer, answers are below one another."""


class TrialTurn(Vertical):
    """What was asked, and one answer for each service."""

    def __init__(self, turn: Turn, answers: Sequence[TrialAnswer]) -> None:
        super().__init__(classes="turn")
        self._turn = turn
        self.answers = answers

    def compose(self) -> ComposeResult:
        """Question above, answers below."""
        picture = self._turn.picture
        seen = ""
        if picture is not None:
            seen = f"\n▣ {Path(picture.path).name}, {size(picture.size_bytes)}"
        yield Static(
            Content.assemble((harmless(self._turn.prompt), "bold"), harmless(seen)),
            classes="question",
        )
        with Container(classes="answers"):
            yield from self.answers

    def on_resize(self, event: events.Resize) -> None:
        """Side by side, unless the columns would be too narrow."""
        stacked = event.size.width < NARROWEST * len(self.answers)
        self.query_one(".answers").set_class(stacked, "-stacked")
