"""What a stream has taken so far, by the counts in its events; decoded at its end only."""

from __future__ import annotations

import re

import msgspec

from hydra_box.engines.counts import RunningCounts, Usage, read_usage

_INDEX = re.compile(rb'"index"\s*:\s*(\d+)')


class EventCounts:
    """Keeps the last event that had counts, for each choice.

    Args:
        counts: how the engine counts on the way; None: it does not.
        choices: answers that the stream has.
        choices_per_prompt: of those, how many belong to one prompt, which is read once for them.

    """

    __slots__ = ("_by_choice", "_choice", "_counts", "_per_prompt", "_total", "many")

    def __init__(
        self, counts: RunningCounts | None = None, *, choices: int = 1, choices_per_prompt: int = 1
    ) -> None:
        self._counts = counts
        self._per_prompt = choices_per_prompt
        self._by_choice: dict[int, bytes] = {}
        self._choice = 0
        self._total = b""
        self.many = choices > 1
        """Events are to be noted one by one."""

    def see(self, event: bytes) -> None:
        """An event has come, with counts or without; needed of a stream of many choices."""
        if self.many and (found := _INDEX.search(event)):
            self._choice = int(found[1])

    def note(self, event: bytes) -> None:
        """That event has counts."""
        self._by_choice[self._choice] = event

    def note_final(self, event: bytes) -> bool:
        """That event has usage at the end of an answer; True: of all choices."""
        if self.many and self._counts is not None and not self._counts.final_is_total:
            # It does not say of which choice, where it has none; it comes right after it.
            self._by_choice[self._choice] = event
            return False
        self._total = event
        return True

    def usage(self) -> Usage | None:
        """All choices together; None: nothing was counted."""
        if self._total:
            return read_usage(self._total)
        if self._counts is None:
            return None
        prompts: dict[int, list[Usage]] = {}
        for choice, event in self._by_choice.items():
            if (usage := self._counts.read(event)) is not None:
                prompts.setdefault(choice // self._per_prompt, []).append(usage)
        return _sum(list(prompts.values())) if prompts else None


def _sum(prompts: list[list[Usage]]) -> Usage:
    return Usage(
        prompt_tokens=sum(max(one.prompt_tokens for one in choices) for choices in prompts),
        # The first choice reads the prompt, the others find it in the cache.
        cached_tokens=sum(min(one.cached_tokens for one in choices) for choices in prompts),
        completion_tokens=sum(one.completion_tokens for choices in prompts for one in choices),
        reasoning_tokens=sum(one.reasoning_tokens for choices in prompts for one in choices),
    )


class _Choices(msgspec.Struct):
    choices: list[msgspec.Raw] = []


def usage_of_whole(
    body: bytes, counts: RunningCounts | None, *, choices: int, other_prompts_tokens: int
) -> tuple[Usage | None, bool]:
    """What an answer that is no stream took, and whether that is estimated.

    An engine whose usage is that of one choice says nothing of the others: they are thought to have
    as many tokens for their length. Its prompt is the first one, whose length says nothing of the
    other prompts'.

    Args:
        body: the answer.
        counts: how the engine counts.
        choices: answers that were asked for.
        other_prompts_tokens: what all prompts but the first are thought to have.

    """
    usage = read_usage(body)
    if usage is None or choices == 1 or counts is None or counts.final_is_total:
        return usage, False
    try:
        texts = msgspec.json.decode(body, type=_Choices).choices
    except msgspec.DecodeError:
        texts = []
    lengths = [len(bytes(one)) for one in texts] or [1]
    estimate = Usage(
        prompt_tokens=usage.prompt_tokens + other_prompts_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=round(usage.completion_tokens * sum(lengths) / lengths[0]),
    )
    return estimate, True
