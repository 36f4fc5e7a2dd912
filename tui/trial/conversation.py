"""A conversation with one service, and with others beside it: values only."""

from __future__ import annotations

from msgspec.structs import replace

from hydra_box.errors import HydraError
from hydra_box.types import Frozen


class Settings(Frozen, frozen=True, kw_only=True):
    """What is asked for beside the question; None: the engine's own."""

    system: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None


class Picture(Frozen, frozen=True, kw_only=True):
    """An image on this machine that goes with a question."""

    path: str
    media_type: str
    size_bytes: int


class Problem(Frozen, frozen=True, kw_only=True):
    """Why an answer is missing or not whole."""

    fact: str
    hint: str | None = None

    @classmethod
    def of(cls, error: HydraError) -> Problem:
        """An error, so that it can be kept."""
        return cls(fact=error.message, hint=error.hint)


class Answer(Frozen, frozen=True, kw_only=True):
    """What one service answered, and how fast, as seen from here."""

    access_name: str
    context_length: int
    content: str = ""
    reasoning: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    """As the engine counted them; None: the answer ended before it told."""
    pieces: int = 0
    """Deltas with text; most engines send one a token."""
    ttft_seconds: float | None = None
    tokens_per_second: float | None = None
    finish_reason: str | None = None
    stopped: bool = False
    problem: Problem | None = None

    @property
    def has_text(self) -> bool:
        """Whether anything came."""
        return bool(self.content or self.reasoning)


class Turn(Frozen, frozen=True, kw_only=True):
    """A question, and the answer of each service that was asked."""

    prompt: str
    picture: Picture | None = None
    answers: tuple[Answer, ...] = ()

    def answer_of(self, access_name: str) -> Answer | None:
        """The service's own answer; of one that was not asked then, the first: its context."""
        own = (one for one in self.answers if one.access_name == access_name)
        return next(own, self.answers[0] if self.answers else None)

    def with_answer(self, answer: Answer) -> Turn:
        """This answer in place of what its service answered before, else after the others."""
        names = [one.access_name for one in self.answers]
        if answer.access_name not in names:
            return replace(self, answers=(*self.answers, answer))
        at = names.index(answer.access_name)
        return replace(self, answers=(*self.answers[:at], answer, *self.answers[at + 1 :]))


class Conversation(Frozen, frozen=True, kw_only=True):
    """What was said, oldest first."""

    id: str
    started_at: float
    """Seconds since the epoch."""
    settings: Settings = Settings()
    turns: tuple[Turn, ...] = ()
    beside: tuple[str, ...] = ()
    """Ids of the services that are asked the same."""

    @property
    def last(self) -> Turn | None:
        """The turn that is being answered, or was last."""
        return self.turns[-1] if self.turns else None

    @property
    def prompts(self) -> tuple[str, ...]:
        """Every question, oldest first."""
        return tuple(turn.prompt for turn in self.turns)

    def with_last(self, turn: Turn) -> Conversation:
        """The turn in place of the last one."""
        return replace(self, turns=(*self.turns[:-1], turn))

    def with_turn(self, turn: Turn) -> Conversation:
        """The turn after all others."""
        return replace(self, turns=(*self.turns, turn))
