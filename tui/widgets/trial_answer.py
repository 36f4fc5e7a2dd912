"""One service's answer: reasoning folded, text as Markdown, what went wrong, what was measured."""

from __future__ import annotations

import asyncio

from markdown_it import MarkdownIt
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Collapsible, Markdown, Static

from hydra_box.shown.text import harmless
from tui.trial.conversation import Answer
from tui.trial.figures import figures, so_far
from tui.trial.listening import Listener


class TrialAnswer(Vertical):
    """Shows what a listener has whenever it is told to draw, until it has the whole answer."""

    def __init__(self, access_name: str, *, named: bool, answer: Answer | None = None) -> None:
        super().__init__(classes="answer")
        self._who = access_name.rpartition("/")[2]
        self._named = named
        self._answer = answer
        self._listener: Listener | None = None
        self._drawing = asyncio.Lock()
        self._shown = ""
        self._thought = ""

    def compose(self) -> ComposeResult:
        """Everything that may be needed; what is empty is not seen."""
        yield Static(Content(self._who), classes="who")
        with Collapsible(title="reasoning", classes="reasoning"):
            yield Static(classes="thought", markup=False)
        yield Markdown(parser_factory=_parser, open_links=False)
        yield Static(classes="problem")
        yield Static("  ctrl+r sends it again", classes="again")
        yield Static(classes="figures muted", markup=False)

    def on_mount(self) -> None:
        """Nothing but the figures is there until something has come."""
        self.query_one(".who").display = self._named
        for each in (".reasoning", "Markdown"):
            self.query_one(each).display = False
        self.call_later(self.draw)

    @property
    def is_live(self) -> bool:
        """Whether more may come."""
        return self._listener is not None and self._answer is None

    def follow(self, listener: Listener) -> None:
        """Show what comes."""
        self._listener = listener
        self._answer = None

    def settle(self, answer: Answer) -> None:
        """Show this, and nothing that comes later."""
        self._answer = answer
        self.call_later(self.draw)

    def toggle_reasoning(self) -> None:
        """Fold or unfold it, if there is any."""
        folded = self.query_one(Collapsible)
        folded.collapsed = not folded.collapsed

    @on(Markdown.LinkClicked)
    def _link_clicked(self, event: Markdown.LinkClicked) -> None:
        # The model's link may lead anywhere, and the browser may be on another machine.
        event.stop()
        self.app.copy_to_clipboard(event.href)
        self.notify(f"Copied the link {harmless(event.href)}", markup=False)

    async def draw(self) -> None:
        """Show what has come by now."""
        # One append at a time: MarkdownStream starts its last one while another may still be
        # under way, and so shows a block twice when an answer is stopped.
        async with self._drawing:
            await self._draw()

    async def _draw(self) -> None:
        if self._answer is not None:
            reasoning, content = self._answer.reasoning, self._answer.content
            told = figures(self._answer)
        elif self._listener is not None:
            reasoning, content = self._listener.text()
            told = so_far(self._listener)
        else:
            return
        self._draw_reasoning(reasoning)
        self._draw_problem()
        self.query_one(".figures", Static).update(told)
        await self._draw_content(content)

    def _draw_reasoning(self, reasoning: str) -> None:
        if reasoning == self._thought:
            return
        self._thought = reasoning
        folded = self.query_one(Collapsible)
        folded.display = bool(reasoning)
        folded.title = f"reasoning, {len(reasoning):,} characters"
        self.query_one(".thought", Static).update(Content(reasoning))

    def _draw_problem(self) -> None:
        problem = self._answer.problem if self._answer is not None else None
        self.set_class(problem is not None, "-failed")
        if problem is not None:
            hint = f"\n  hint: {harmless(problem.hint)}" if problem.hint else ""
            fact = (f"✗ {harmless(problem.fact)}", "$text-error")
            self.query_one(".problem", Static).update(Content.assemble(fact, hint))

    async def _draw_content(self, content: str) -> None:
        if content == self._shown:
            return
        markdown = self.query_one(Markdown)
        markdown.display = bool(content)
        before, self._shown = self._shown, content
        if before and content.startswith(before):
            await markdown.append(content[len(before) :])
        else:
            await markdown.update(content)


def _parser() -> MarkdownIt:
    """Tags of HTML are shown as they are: Textual's own parser would leave them out."""
    return MarkdownIt("gfm-like", {"html": False})
