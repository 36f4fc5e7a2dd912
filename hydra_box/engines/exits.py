"""What the end of an engine process means: rules over its log, the same way for every engine."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence

from hydra_box.types import ExitExplanation, Frozen, ProcessExit

LONGEST_LINE = 300

SAID_BY_SIGNAL_ALONE = frozenset({signal.SIGILL, signal.SIGKILL, signal.SIGBUS})


class Rule(Frozen, frozen=True, kw_only=True):
    """A pattern in the log; ``fact`` and ``hint`` may quote its groups as ``{0}``, ``{1}``."""

    pattern: str
    fact: str
    hint: str | None = None


class Language(Frozen, frozen=True, kw_only=True):
    """How one engine speaks in its log."""

    rules: Sequence[Rule]
    """The first that matches wins, so the more telling ones come first."""
    signals: Mapping[int, ExitExplanation]
    prefix: str
    """What stands before the words of a line."""
    not_a_cause: str
    """Lines, without their prefix, that follow a cause and do not tell it."""


def explain(exit: ProcessExit, log_tail: str, language: Language) -> ExitExplanation:
    """Why the process ended.

    1. Signals that say it all by themselves: a missing CPU instruction, killed, a cut file.
    2. The first rule that finds its pattern in the log.
    3. Other signals.
    4. The last line of the log that means something, with the status.
    """
    number = _signal(exit)
    said = language.signals.get(number) if number is not None else None
    if said is not None and number in SAID_BY_SIGNAL_ALONE:
        return said
    if found := match_rule(log_tail, language.rules):
        return found
    if said is not None:
        return said
    return _unexplained(exit, number, log_tail, language)


def match_rule(log_tail: str, rules: Sequence[Rule]) -> ExitExplanation | None:
    """What the first rule that finds its pattern says of the last place where it is found."""
    for rule in rules:
        matches = list(re.finditer(rule.pattern, log_tail))
        if matches:
            groups = [group or "no reason given" for group in matches[-1].groups()]
            hint = rule.hint.format(*groups) if rule.hint else None
            return ExitExplanation(fact=rule.fact.format(*groups)[:LONGEST_LINE], hint=hint)
    return None


def _signal(exit: ProcessExit) -> int | None:
    if exit.signal is not None:
        return exit.signal
    # A shell between us and the program reports its signal as 128 and the number.
    if exit.code is not None and exit.code > 128:
        return exit.code - 128
    return None


def _unexplained(
    exit: ProcessExit, number: int | None, log_tail: str, language: Language
) -> ExitExplanation:
    if number is not None:
        fact = f"the process was ended by signal {number}"
    elif exit.code is None:
        fact = "the process has ended"
    else:
        fact = f"the process ended with status {exit.code}"
    lines = [re.sub(language.prefix, "", line.strip()).strip() for line in log_tail.splitlines()]
    telling = [line for line in lines if line and not re.search(language.not_a_cause, line)]
    if not telling:
        return ExitExplanation(fact=f"{fact} and printed nothing")
    return ExitExplanation(fact=f"{fact}; the last it said was: {telling[-1][:LONGEST_LINE]}")
