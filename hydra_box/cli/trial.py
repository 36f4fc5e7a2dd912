"""``hydra-box trial``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from hydra_box.cli.asking import Listener, Message, ask, chat_body, measured
from hydra_box.cli.connection import connect
from hydra_box.cli.failure import report
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, harmless, put, say, style
from hydra_box.cli.verb import Verb
from hydra_box.client import Client
from hydra_box.errors import DaemonUnreachable, HydraError, InvalidRequest, NotFound


@click.command(
    cls=Verb,
    examples=(
        'hydra-box trial demo "What is Hydra Box?"',
        "echo 'Say this is a test!' | hydra-box trial demo --temperature 0",
        "hydra-box trial demo",
    ),
)
@click.argument("name")
@click.argument("prompt", required=False)
@click.option("--system", metavar="TEXT", help="A system message.")
@click.option("--temperature", type=float, metavar="T", help="0: always the likeliest token.")
@click.option("--top-p", type=float, metavar="P", help="Sample from the likeliest P only.")
@click.option("--max-tokens", type=int, metavar="N", help="Longest answer.")
@click.pass_obj
def trial(
    options: Options,
    name: str,
    prompt: str | None,
    *,
    system: str | None,
    temperature: float | None,
    top_p: float | None,
    max_tokens: int | None,
) -> None:
    """Ask the service NAME something; its answer streams to stdout, the figures to stderr.

    Without PROMPT it is a chat on a terminal, and reads standard input elsewhere.
    """
    settings = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
    first: list[Message] = [{"role": "system", "content": system}] if system else []
    with connect(options) as client:
        model = name if "/" in name else client.service(name).access_name
        if prompt is None and sys.stdin.isatty() and sys.stdout.isatty() and not options.json:
            Chat(client, model, first, settings).run()
            return
        question = sys.stdin.read().strip() if prompt is None else prompt
        if not question:
            raise InvalidRequest("the prompt is empty", hint=f'hydra-box trial {name} "hello!"')
        body = chat_body(model, [*first, {"role": "user", "content": question}], settings)
        answer = ask(client, body, _ignore if options.json else _write)
    if options.json:
        emit(answer)
        return
    put("")
    say(style(measured(answer), dim=True))


class Chat:
    """A conversation on the terminal; it remembers what was said."""

    def __init__(
        self, client: Client, model: str, first: list[Message], settings: Mapping[str, Any]
    ) -> None:
        self._client = client
        self._model = model
        self._first = first
        self._settings = settings
        self._said: list[Message] = []

    def run(self) -> None:
        """Until Ctrl-D or Ctrl-C at the prompt; Ctrl-C elsewhere only ends the answer."""
        import readline  # noqa: F401, PLC0415 - gives input() its line editing

        say(
            style(f"{self._model}: Ctrl-D leaves, Ctrl-C stops an answer, /clear forgets", dim=True)
        )
        while True:
            try:
                line = input("> ").strip()
            except (EOFError, KeyboardInterrupt):
                put("")
                return
            if line == "/clear":
                self._said.clear()
            elif line:
                self._turn(line)

    def _turn(self, line: str) -> None:
        self._said.append({"role": "user", "content": line})
        listener = Listener(self._model, _write)
        try:
            body = chat_body(self._model, [*self._first, *self._said], self._settings)
            for chunk in self._client.chat(body):
                listener.take(chunk)
        except KeyboardInterrupt:
            say(style(" (stopped)", dim=True))
        except (DaemonUnreachable, NotFound):
            raise
        except HydraError as error:
            self._said.pop()
            report(error, as_json=False)
            return
        else:
            put("")
            say(style(measured(listener.answer()), dim=True))
        self._said.append({"role": "assistant", "content": listener.content})


def _write(text: str) -> None:
    put(harmless(text), newline=False)


def _ignore(text: str) -> None:
    """With ``--json`` the answer is printed once it is whole."""
