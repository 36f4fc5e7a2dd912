"""Judges a trained demo model by requests that it has not seen, run by llama.cpp.

    python scripts/demo_evaluate.py hydra_box/assets/demo/hydra-box-demo.gguf

Prints how many answers are right, word for word, in several settings, and what went wrong.
Needs xllamacpp.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import demo_corpus as corpus
import demo_dialogs
import xllamacpp
from demo_heldout import HELD_OUT, HeldOut

#: More than the longest answer, in tokens.
LIMIT = 500


def accepted(item: HeldOut) -> tuple[str, ...]:
    """The texts that are right answers to a request."""
    if item.expect.startswith("="):
        return (item.expect[1:],)
    if item.expect == "unknown":
        return corpus.UNKNOWN_ANSWERS
    if item.expect == "repeat":
        return (corpus.CANNOT_REPEAT,)
    return next(intent.answers for intent in corpus.INTENTS if intent.key == item.expect)


class Runner:
    """Runs one GGUF file in this process."""

    def __init__(self, path: Path, context: int = 2048) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = context
        params.n_parallel = 1
        params.verbosity = 0
        self._server = xllamacpp.Server(params)

    def chat(self, messages: list[dict[str, Any]], **options: Any) -> str:
        """The answer to a conversation; greedy unless ``options`` says otherwise."""
        request = {"messages": messages, "max_tokens": LIMIT, "temperature": 0, **options}
        reply: dict[str, Any] = self._server.handle_chat_completions(request)
        return str(reply["choices"][0]["message"]["content"])

    def complete(self, prompt: str, **options: Any) -> str:
        """The continuation of a bare prompt."""
        request = {"prompt": prompt, "max_tokens": LIMIT, "temperature": 0, **options}
        reply: dict[str, Any] = self._server.handle_completions(request)
        return str(reply["choices"][0]["text"])


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _history(rng: random.Random, turns: int) -> list[dict[str, Any]]:
    """An earlier conversation of ``turns`` answered requests, short enough for the context."""
    messages: list[dict[str, Any]] = []
    state = demo_dialogs.State()
    while len(messages) < 2 * turns:
        turn = demo_dialogs.draw_turn(rng, state)
        if len(turn.request) + len(turn.answer) > 250:
            continue
        messages += [_user(turn.request), {"role": "assistant", "content": turn.answer}]
    return messages


def settings(runner: Runner) -> dict[str, Callable[[str], str]]:
    """The ways to ask, by name."""
    rng = random.Random(7)
    system = {"role": "system", "content": "You are a helpful assistant of a travel agency."}
    return {
        "greedy chat": lambda prompt: runner.chat([_user(prompt)]),
        "chat at temperature 0.8": lambda prompt: runner.chat(
            [_user(prompt)], temperature=0.8, seed=rng.randrange(1 << 30)
        ),
        "with a system prompt": lambda prompt: runner.chat([system, _user(prompt)]),
        "after an unanswered hello": lambda prompt: runner.chat([_user("hello!"), _user(prompt)]),
        "after 3 turns": lambda prompt: runner.chat([*_history(rng, 3), _user(prompt)]),
        "after 20 turns": lambda prompt: runner.chat([*_history(rng, 20), _user(prompt)]),
        "bare completion": lambda prompt: runner.complete(prompt).strip(),
    }


def main() -> None:
    """Evaluate the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--quiet", action="store_true", help="print the figures only")
    arguments = parser.parse_args()
    for name, ask in settings(Runner(arguments.gguf)).items():
        right = 0
        for item in HELD_OUT:
            answer = ask(item.prompt)
            if answer in accepted(item):
                right += 1
            elif not arguments.quiet:
                print(f"  [{item.expect}] {item.prompt!r} -> {answer[:90]!r}")
        print(f"{name}: {right} of {len(HELD_OUT)} right", flush=True)


if __name__ == "__main__":
    main()
