"""What belongs to the question that is being typed: its image, whether it is an edit, a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from textual.content import Content
from textual.widgets import Static

from hydra_box.shown.numbers import size
from hydra_box.shown.text import harmless
from tui.trial.conversation import Picture, Problem


class TrialNote(Static):
    """Not there when there is nothing to say."""

    def __init__(self) -> None:
        super().__init__(id="note")
        self.display = False
        self._picture: Picture | None = None
        self._editing = False
        self._problem: Problem | None = None

    def attach(self, picture: Picture | None) -> None:
        """The question has this image."""
        self._picture = picture
        self._show()

    def edit(self, *, editing: bool) -> None:
        """The question takes the place of the last one."""
        self._editing = editing
        self._show()

    def refuse(self, problem: Problem | None) -> None:
        """Why the question was not sent; None: nothing is wrong any more."""
        self._problem = problem
        self._show()

    def _show(self) -> None:
        lines = list(self._lines())
        self.display = bool(lines)
        self.update(Content("\n").join(lines))

    def _lines(self) -> Iterator[Content]:
        if self._editing:
            yield Content("✎ the last question: enter asks this in its place, escape leaves it")
        if (picture := self._picture) is not None:
            name = harmless(Path(picture.path).name)
            yield Content(f"▣ {name}, {size(picture.size_bytes)}; ctrl+f changes or removes it")
        if self._problem is not None:
            yield Content.styled(f"✗ {harmless(self._problem.fact)}", "$text-error")
            if self._problem.hint:
                yield Content(f"  hint: {harmless(self._problem.hint)}")
