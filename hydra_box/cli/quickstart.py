"""``hydra-box quickstart``."""

from __future__ import annotations

import json
import shlex

import click

from hydra_box.cli import waiting
from hydra_box.cli.asking import Answer, ask, chat_body, measured
from hydra_box.cli.background import start_daemon
from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, harmless, put, say, style
from hydra_box.cli.verb import Verb
from hydra_box.client import Client
from hydra_box.errors import Conflict, DaemonUnreachable, NotFound
from hydra_box.messages import BoxStatus, CreatedKey, CreateKeyRequest, DeployRequest, ServiceView
from hydra_box.types import Frozen, ServiceStatus

SERVICE = "demo"
KEY = "quickstart"


class Quickstart(Frozen, frozen=True, kw_only=True):
    """What a first run has made."""

    url: str
    key: str
    key_name: str
    access_name: str
    question: str
    answer: str
    ttft_seconds: float | None
    tokens_per_second: float | None
    pid: int
    started_daemon: bool


@click.command(cls=Verb, examples=("hydra-box quickstart", "hydra-box quickstart --port 8080"))
@click.option("--question", default="What is Hydra Box?", show_default=True, metavar="TEXT")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="For a daemon that is started here [default: 4937].",
)
@click.pass_obj
def quickstart(options: Options, question: str, port: int | None) -> None:
    """Go from nothing to a first answer: a daemon, the demo model, a key, a question.

    What is there already is used: run it as often as you like. Each run makes a key of its own.
    """
    with connect(options) as client:
        box, started = _daemon(options, client, port)
        service = _demo(client)
        key = _key(client)
        say(f"{style('Q:', bold=True)} {question}")
        answer = _ask(box.url, key.key, service.access_name, question, quiet=options.json)
    result = Quickstart(
        url=box.url,
        key=key.key,
        key_name=key.name,
        access_name=service.access_name,
        question=question,
        answer=answer.content,
        ttft_seconds=answer.ttft_seconds,
        tokens_per_second=answer.tokens_per_second,
        pid=box.pid,
        started_daemon=started,
    )
    if options.json:
        emit(result)
        return
    put("")
    say(style(measured(answer), dim=True))
    put(_samples(result))
    say(_next_steps(result))


def _daemon(options: Options, client: Client, port: int | None) -> tuple[BoxStatus, bool]:
    """The daemon that runs, or a new one; and whether it is new."""
    try:
        box = client.status()
    except DaemonUnreachable:
        if options.url:
            raise
        return start_daemon(client, port), True
    say(f"the daemon, pid {box.pid}, runs already at {box.url}")
    return box, False


def _demo(client: Client) -> ServiceView:
    """The service ``demo``, RUNNING; one that is made here is on the CPU."""
    view = _existing(client)
    if view is None:
        # A GPU is worth more than a model of this size, and a first run needs no driver.
        say("the demo model is deployed on the CPU: it needs no GPU")
        view = waiting.deploy(client, DeployRequest(model="demo", name=SERVICE, device="cpu"))
    if view.status in (ServiceStatus.STOPPED, ServiceStatus.FAILED):
        view = client.start(SERVICE)
    return waiting.wait_running(client, view)


def _existing(client: Client) -> ServiceView | None:
    """The service ``demo``, if there is one that stays."""
    try:
        view = client.service(SERVICE)
    except NotFound:
        return None
    if view.status is not ServiceStatus.DELETING:
        return view
    waiting.wait_gone(client, view)
    return None


def _key(client: Client) -> CreatedKey:
    """A new key: earlier ones cannot be shown again, and may be in use."""
    listed = client.keys()
    taken = {view.name for view in listed if view.revoked_at is None}
    number = 1
    while True:
        name = KEY if number == 1 else f"{KEY}-{number}"
        number += 1
        if name in taken:
            continue
        try:
            return client.create_key(CreateKeyRequest(name=name))
        except Conflict:
            taken.add(name)


def _ask(url: str, key: str, model: str, question: str, *, quiet: bool) -> Answer:
    """The question over HTTP, as any app would ask it."""
    # The likeliest answer: a first impression is not left to chance.
    body = chat_body(model, [{"role": "user", "content": question}], {"temperature": 0})
    with Client(url=url, api_key=key) as app:
        return ask(app, body, lambda text: None if quiet else put(harmless(text), newline=False))


def _samples(made: Quickstart) -> str:
    """Calls to paste: this key, this address, this model."""
    body = json.dumps(
        {
            "model": made.access_name,
            "messages": [{"role": "user", "content": made.question}],
            "temperature": 0,
        },
        ensure_ascii=False,
    )
    return f"""
# curl
curl {made.url}/v1/chat/completions \\
  -H 'Authorization: Bearer {made.key}' \\
  -H 'Content-Type: application/json' \\
  -d {shlex.quote(body)}

# Python (pip install openai)
from openai import OpenAI

client = OpenAI(base_url="{made.url}/v1", api_key="{made.key}")
response = client.chat.completions.create(
    model="{made.access_name}",
    temperature=0,
    messages=[{{"role": "user", "content": {json.dumps(made.question, ensure_ascii=False)}}}],
)
print(response.choices[0].message.content)"""


def _next_steps(made: Quickstart) -> str:
    return "\n".join(
        (
            f"the key {made.key_name} is not shown again",
            f"end the key:      hydra-box keys revoke {made.key_name}",
            f"chat on:          hydra-box trial {SERVICE}",
            "see it run:       hydra-box status",
            f"stop the daemon:  kill {made.pid}",
        )
    )
