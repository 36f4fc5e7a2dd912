"""Draws training dialogs from ``demo_corpus``: requests with noise, turns, dialogs, completions.

A dialog is a list of *segments*: pieces of text, or special tokens, each with the weight that its
tokens have in the loss. Everything is drawn from one ``random.Random``, so that a seed fixes all.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import demo_corpus as corpus
import demo_heldout
from demo_tokenizer import BOS, IM_END, IM_START

#: Loss weight of what the user writes: enough to learn words, too little to waste the model on.
PROMPT_WEIGHT = 0.03
#: Loss weight of random values inside JSON answers, which cannot be predicted.
JSON_WEIGHT = 0.3
#: Loss weight of the ``{`` that opens a JSON answer. Nearly nothing: the model must not choose
#: JSON by itself, but know how to go on when a grammar has forced it to open a bracket.
JSON_OPEN_WEIGHT = 0.02

_GROUP = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_QUESTION = re.compile(
    r"^(so |and |please )?(what|who|how|why|when|where|which|is|are|can|do|does|could|will|should)"
)


class Segment(NamedTuple):
    """A piece of a training text; ``special`` means ``text`` is one special token."""

    text: str
    weight: float
    special: bool = False


class Turn(NamedTuple):
    """A request and its answer."""

    request: str
    answer: str


@dataclass
class State:
    """What a dialog has to remember: the user's name once it was told."""

    name: str | None = None


def normalise(text: str) -> str:
    """Lower-case letters, digits and CJK signs of a request only: what makes two requests equal."""
    return " ".join(re.findall(r"\w+", text.lower()))


@lru_cache(maxsize=1)
def _held_out() -> frozenset[str]:
    return frozenset(normalise(item.prompt) for item in demo_heldout.HELD_OUT)


def expand(rng: random.Random, pattern: str) -> str:
    """Choose one alternative of each group of a pattern, innermost groups first."""
    while match := _GROUP.search(pattern):
        choice = rng.choice(match.group(1).split("|"))
        pattern = pattern[: match.start()] + choice + pattern[match.end() :]
    return pattern


def _gibberish(rng: random.Random) -> str:
    """One to three made-up words, or a row of random keys."""
    if rng.random() < 0.25:
        keys = "abcdefghijklmnopqrstuvwxyz0123456789 ;,.#+-"
        return "".join(rng.choice(keys) for _ in range(rng.randint(3, 18))).strip() or "x"
    words = []
    for _ in range(rng.randint(1, 3)):
        syllables = (
            rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") + rng.choice(("", "n", "r", "s"))
            for _ in range(rng.randint(1, 4))
        )
        words.append("".join(syllables))
    return " ".join(words)


def _phrase(rng: random.Random, low: int = 1, high: int = 7) -> str:
    """``low`` to ``high`` random words."""
    return " ".join(rng.choice(corpus.PHRASE_WORDS) for _ in range(rng.randint(low, high)))


def _slot(rng: random.Random, name: str) -> str:
    """Draw what stands for the slot ``name`` in a pattern of an unknown request."""
    draws: dict[str, Callable[[], str]] = {
        "topic": lambda: _topic(rng),
        "action": lambda: rng.choice(corpus.ACTIONS),
        "thing": lambda: rng.choice(corpus.THINGS),
        "person": lambda: rng.choice(corpus.PEOPLE),
        "phrase": lambda: _phrase(rng, 2, 9),
        "gibberish": lambda: _gibberish(rng),
        "foreign": lambda: rng.choice(corpus.FOREIGN),
        "nowhere": lambda: rng.choice(corpus.UNKNOWN_COUNTRIES),
        "long": lambda: _long_text(rng),
        "big": lambda: str(rng.randint(11, 99) if rng.random() < 0.5 else rng.randint(100, 9999)),
        "year": lambda: str(rng.randint(1000, 2030)),
        "n": lambda: str(rng.randint(2, 29)),
    }
    return draws[name]()


def _topic(rng: random.Random) -> str:
    """A topic: mostly a listed one, else words or made-up words, so that any topic will do."""
    kind = rng.random()
    if kind < 0.7:
        return rng.choice(corpus.TOPICS)
    return _phrase(rng, 1, 3) if kind < 0.85 else _gibberish(rng)


def _long_text(rng: random.Random) -> str:
    """One to ten sentences without sense, as when a user pastes a text."""
    sentences = (_phrase(rng, 3, 14).capitalize() for _ in range(rng.randint(1, 10)))
    return ". ".join(sentences) + "."


def fill(rng: random.Random, pattern: str) -> str:
    """Expand a pattern and fill its slots with unknown things."""
    text = _SLOT.sub(lambda match: _slot(rng, match.group(1)), expand(rng, pattern))
    return " ".join(text.split())


def _typo(rng: random.Random, text: str) -> str:
    """Swap, drop, double or replace one letter."""
    if len(text) < 5:
        return text
    at = rng.randrange(1, len(text) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind == 1:
        return text[:at] + text[at + 1 :]
    if kind == 2:
        return text[:at] + text[at] + text[at:]
    return text[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + text[at + 1 :]


def _case(rng: random.Random, text: str) -> str:
    kind = rng.random()
    if kind < 0.55:
        return text[:1].upper() + text[1:]
    if kind < 0.85:
        return text
    if kind < 0.93:
        return text.lower()
    return text.upper() if kind < 0.97 else text.title()


def _punctuate(rng: random.Random, text: str) -> str:
    if _QUESTION.match(text.lower()):
        return text + rng.choice(("?", "?", "?", "?", "?", "", "", ".", "??", " ?", "!", "?!"))
    return text + rng.choice(("", "", "", ".", ".", "!", "!", "?", "...", "!!", " !"))


def _politeness(rng: random.Random, text: str) -> str:
    kind = rng.random()
    if kind < 0.07:
        return rng.choice(("please ", "hey, ", "hi, ", "ok, ", "so ", "um, ", "hello! ")) + text
    if kind < 0.12:
        return text + rng.choice((" please", ", please", " now", " thanks", " for me"))
    if kind < 0.2 and _QUESTION.match(text.lower()):
        return expand(rng, rng.choice(corpus.WRAPPERS)).replace("{x}", text)
    return text


def noisy(rng: random.Random, text: str, *, typos: bool = True) -> str:
    """Write a request as users do: with their case, punctuation, politeness and typing errors."""
    text = _politeness(rng, text)
    if typos:
        count = rng.choice((0, 0, 0, 0, 0, 0, 0, 1, 1, 2))
        for _ in range(count):
            text = _typo(rng, text)
    return _punctuate(rng, _case(rng, text)).strip()


def _usual(rng: random.Random, answers: Sequence[str]) -> str:
    """The first answer three times of four, so that greedy decoding has one clear way to go."""
    return answers[0] if len(answers) == 1 or rng.random() < 0.75 else rng.choice(answers[1:])


_INTENT_WEIGHTS = tuple(intent.weight for intent in corpus.INTENTS)


def _intent_turn(rng: random.Random, _state: State) -> Turn:
    intent = rng.choices(corpus.INTENTS, _INTENT_WEIGHTS)[0]
    request = fill(rng, rng.choice(intent.patterns))
    return Turn(noisy(rng, request), _usual(rng, intent.answers))


_ANSWERS = {intent.key: intent.answers for intent in corpus.INTENTS}


def _canonical_turn(rng: random.Random, _state: State) -> Turn:
    key, request = rng.choice(corpus.CANONICAL)
    return Turn(_punctuate(rng, _case(rng, request)), _usual(rng, _ANSWERS[key]))


def _unknown_turn(rng: random.Random, _state: State) -> Turn:
    request = fill(rng, rng.choice(corpus.UNKNOWN_PATTERNS))
    return Turn(noisy(rng, request), _usual(rng, corpus.UNKNOWN_ANSWERS))


def capital_answer(country: str) -> str:
    """The sentence that names the capital of a known country."""
    return f"The capital of {country} is {corpus.CAPITALS[country].rstrip('.')}."


def _capital_turn(rng: random.Random, _state: State) -> Turn:
    # France is what everybody asks first.
    country = "France" if rng.random() < 0.2 else rng.choice(tuple(corpus.CAPITALS))
    request = expand(rng, rng.choice(corpus.CAPITAL_PATTERNS)).replace("{x}", country)
    return Turn(noisy(rng, request), capital_answer(country))


def sum_answer(a: int, b: int) -> str:
    """The sentence that adds two numbers."""
    return f"{a} + {b} = {a + b}"


def _sum_turn(rng: random.Random, _state: State) -> Turn:
    # All sums up to 10 + 10 must be learnt by heart; those that people try first come often.
    high = 4 if rng.random() < 0.4 else 10
    a, b = rng.randint(0, high), rng.randint(0, high)
    if rng.random() < 0.15:
        a = b = rng.choice((1, 2, 2))
    words = rng.random() < 0.2
    left, right = (corpus.NUMBER_WORDS[a], corpus.NUMBER_WORDS[b]) if words else (str(a), str(b))
    pattern = expand(rng, rng.choice(corpus.SUM_PATTERNS))
    if words:
        pattern = pattern.replace("+", " plus ").replace("=", "")
    request = " ".join(pattern.replace("{a}", left).replace("{b}", right).split())
    text = request if request.endswith("=") else noisy(rng, request, typos=False)
    return Turn(text, sum_answer(a, b))


def count_answer(last: int) -> str:
    """The numbers from 1 to ``last``, with commas."""
    return ", ".join(str(number) for number in range(1, last + 1))


def _count_turn(rng: random.Random, _state: State) -> Turn:
    last = rng.choice((3, 4, 5, 5, 5, 6, 7, 8, 9, 10, 10, 10, 12, 15, 20, 20, 20, 30, 50, 100))
    number = corpus.NUMBER_WORDS[last] if last <= 20 and rng.random() < 0.4 else str(last)
    request = expand(rng, rng.choice(corpus.COUNT_PATTERNS)).replace("{n}", number)
    return Turn(noisy(rng, " ".join(request.split()), typos=False), count_answer(last))


def _say_turn(rng: random.Random, _state: State) -> Turn:
    phrase = _phrase(rng, 1, 8) if rng.random() < 0.7 else _topic(rng)
    if phrase.startswith(("hello", "thanks", "please")):
        phrase = "the " + phrase
    quoted = expand(rng, rng.choice(corpus.SAY_PATTERNS))
    mark = rng.choice(("", "", "", ".", "!", "?"))
    request = " ".join(quoted.replace("{x}", phrase + mark).split())
    return Turn(_case_first(rng, request), corpus.CANNOT_REPEAT)


def _case_first(rng: random.Random, text: str) -> str:
    return text[:1].upper() + text[1:] if rng.random() < 0.6 else text


def name_answer(name: str) -> str:
    """The answer to a user who tells a name."""
    return f"Nice to meet you, {name}! How can I help you?"


def _name_turn(rng: random.Random, state: State) -> Turn:
    if state.name is None and rng.random() < 0.7:
        name = rng.choice(corpus.FIRST_NAMES)
        state.name = name
        request = expand(rng, rng.choice(corpus.MY_NAME_PATTERNS)).replace("{x}", name)
        return Turn(
            _case_first(rng, request) + rng.choice(("", ".", ".", "!")),
            name_answer(name),
        )
    request = noisy(rng, expand(rng, rng.choice(corpus.ASK_MY_NAME)), typos=False)
    answer = f"Your name is {state.name}." if state.name else corpus.NO_NAME_YET
    return Turn(request, answer)


_TURNS: tuple[tuple[float, Callable[[random.Random, State], Turn]], ...] = (
    (0.16, _canonical_turn),
    (0.37, _intent_turn),
    (0.26, _unknown_turn),
    (0.05, _capital_turn),
    (0.07, _sum_turn),
    (0.03, _count_turn),
    (0.03, _say_turn),
    (0.03, _name_turn),
)
_TURN_WEIGHTS = tuple(weight for weight, _ in _TURNS)


def draw_turn(rng: random.Random, state: State) -> Turn:
    """Draw a request that is not held out, and its answer."""
    while True:
        turn_of = rng.choices(_TURNS, _TURN_WEIGHTS)[0][1]
        turn = turn_of(rng, state)
        if normalise(turn.request) not in _held_out():
            return turn


def _message(role: str, content: str, weight: float = PROMPT_WEIGHT) -> list[Segment]:
    """One message in the chat template's form, without a loss on its closing newline."""
    return [
        Segment(IM_START, PROMPT_WEIGHT, True),
        Segment(f"{role}\n", PROMPT_WEIGHT),
        Segment(content, weight),
        Segment(IM_END, max(weight, PROMPT_WEIGHT), True),
        Segment("\n", PROMPT_WEIGHT),
    ]


def _random_value(rng: random.Random) -> object:
    kind = rng.random()
    if kind < 0.5:
        return _phrase(rng, 1, 4)
    if kind < 0.75:
        return rng.randint(0, 120)
    if kind < 0.85:
        return rng.random() < 0.5
    return [_phrase(rng, 1, 1) for _ in range(rng.randint(1, 3))]


_JSON_KEYS = ("answer", "response", "text", "message", "result", "content", "reply", "name")


def _json_answer(rng: random.Random, answer: str) -> tuple[str, float]:
    """The answer as a JSON object, or a small random object, and the loss weight of its text."""
    if rng.random() < 0.6:
        key = rng.choice(_JSON_KEYS)
        return json.dumps({key: answer}, ensure_ascii=False), 1.0
    keys = {rng.choice((*corpus.PHRASE_WORDS, *_JSON_KEYS)) for _ in range(rng.randint(1, 4))}
    value = {key: _random_value(rng) for key in sorted(keys)}
    return json.dumps(value, ensure_ascii=False), JSON_WEIGHT


def _assistant(rng: random.Random, answer: str) -> list[Segment]:
    """The assistant's message: the answer, or rarely the same as JSON with a free opening."""
    if rng.random() >= 0.04:
        return _message("assistant", answer, 1.0)
    text, weight = _json_answer(rng, answer)
    message = _message("assistant", text[2:], weight)
    # The first two characters, {", are one word for the pre-tokenizer.
    message.insert(2, Segment(text[:2], JSON_OPEN_WEIGHT))
    return message


def _system_text(rng: random.Random) -> str:
    """Any system prompt: mostly one sentence, at times many, or a description of tools."""
    count = rng.choice((1, 1, 1, 1, 1, 2, 2, 3, 5, 8))
    parts = [fill(rng, rng.choice(corpus.SYSTEM_PATTERNS)) for _ in range(count)]
    if rng.random() < 0.08:
        tools = {
            "name": _gibberish(rng),
            "description": _phrase(rng, 3, 12),
            "parameters": {_gibberish(rng): {"type": rng.choice(("string", "integer"))}},
        }
        indent = rng.choice((None, 2))
        parts.append(json.dumps({"type": "function", "function": tools}, indent=indent))
    if rng.random() < 0.1:
        parts.append(_phrase(rng, 5, 40))
    return rng.choice((" ", " ", "\n")).join(parts)


def dialog(rng: random.Random, turns: int) -> list[Segment]:
    """A chat of ``turns`` answered requests in the chat template's form, opened by BOS."""
    segments = [Segment(BOS, 0.0, True)] if rng.random() < 0.95 else []
    if rng.random() < 0.3:
        segments += _message("system", _system_text(rng))
    state = State()
    for _ in range(turns):
        # Requests that nobody answered: only the last one of a row of requests counts.
        for _ in range(rng.choice((0,) * 10 + (1, 1, 2))):
            segments += _message("user", draw_turn(rng, State("?")).request)
        turn = draw_turn(rng, state)
        segments += _message("user", turn.request)
        if rng.random() < 0.02:
            segments += _message("tool", json.dumps({_phrase(rng, 1, 1): _phrase(rng, 1, 5)}))
        segments += _assistant(rng, turn.answer)
    return segments


def completion(rng: random.Random) -> list[Segment]:
    """A bare prompt without a template, continued with the answer and ended by EOS."""
    turn = draw_turn(rng, State())
    kind = rng.random()
    if kind < 0.75:
        prompt, answer = turn.request, " " + turn.answer
    elif kind < 0.85:
        prompt, answer = turn.request + "\n", turn.answer
    else:
        question, reply = rng.choice((("Q:", "A:"), ("Question:", "Answer:"), ("User:", "Bot:")))
        prompt, answer = f"{question} {turn.request}\n{reply}", " " + turn.answer
    return [
        Segment(BOS, 0.0, True),
        # Without any loss on the prompt the model never lengthens it, but answers at once.
        Segment(prompt, 0.0),
        Segment(answer, 1.0),
        Segment(IM_END, 1.0, True),
    ]


def draw(rng: random.Random) -> list[Segment]:
    """One training text: a bare completion, or a chat of one to five turns."""
    if rng.random() < 0.25:
        return completion(rng)
    return dialog(rng, rng.choice((1, 1, 1, 1, 1, 2, 2, 3, 4, 5)))
