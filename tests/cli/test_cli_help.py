"""Help, version and usage errors; and that asking for help imports nothing heavy."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from hydra_box import __version__
from hydra_box.cli.main import VERBS, program
from hydra_box.cli.verb import Verb, VerbGroup
from tests.cli.conftest import Cli


def commands() -> Iterator[tuple[tuple[str, ...], Verb | VerbGroup]]:
    """Every verb, and the verbs of verbs."""
    ctx = click.Context(program, info_name="hydra-box")
    for name in VERBS:
        command = program.get_command(ctx, name)
        assert isinstance(command, Verb | VerbGroup)
        yield (name,), command
        if isinstance(command, VerbGroup):
            for inner, verb in command.commands.items():
                assert isinstance(verb, Verb)
                yield (name, inner), verb


ALL = dict(commands())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_verb_has_an_example_in_its_help(cli: Cli, words: tuple[str, ...]) -> None:
    shown = cli(*words, "--help")
    assert shown.status == 0
    assert "\nExample" in shown.out
    assert f"hydra-box {' '.join(words)}" in shown.out.partition("\nExample")[2]
    assert "--json" in shown.out
    assert cli(*words, "-h").out == shown.out


@pytest.mark.parametrize(
    "example", [one for verb in ALL.values() for one in verb.examples], ids=lambda text: text
)
def test_every_example_is_a_valid_command_line(example: str) -> None:
    words = shlex.split(example.rpartition("hydra-box ")[2].rstrip(")"))
    name = tuple(words[:2]) if tuple(words[:2]) in ALL else (words[0],)
    verb = ALL[name]
    # Parsing stops at the first option that is unknown or wrong; nothing is run.
    verb.make_context(name[-1], words[len(name) :])


def test_without_arguments_the_help_is_shown(cli: Cli) -> None:
    shown = cli()
    assert shown.status == 0
    assert shown.out == cli("--help").out
    for verb, (_, line) in VERBS.items():
        assert verb in shown.out
        assert line in shown.out


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"hydra-box {__version__}\n"


def test_help_imports_only_what_it_needs() -> None:
    code = (
        "import sys; from hydra_box.cli.main import run; run(['--help']);"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    for heavy in ("msgspec", "httpx", "psutil", "litestar", "textual", "asyncio"):
        assert f"'{heavy}'" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["deploy"], "Missing argument 'MODEL'"),
        (["status", "--nonsense"], "No such option '--nonsense'"),
        (["scale", "a"], "give one of --instances N and --add N"),
        (["scale", "a", "--instances", "2", "--add", "1"], "give one of --instances N and --add N"),
        (["edit", "a", "--wait"], "give at least one of --context-length, --concurrency"),
        (["edit", "a", "--device", "gpu"], "'gpu' is not one of"),
        (["keys", "create"], "Missing option '--name'"),
        (["keys", "create", "--name", "x", "--scope", "root"], "'root' is not one of"),
        (["serve", "--port", "70000"], "70000 is not in the range"),
    ],
)
def test_a_wrong_command_line(cli: Cli, arguments: list[str], fact: str) -> None:
    told = cli(*arguments)
    assert told.status == 2
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert fact in told.err
    assert "\nhint: hydra-box" in told.err

    as_json = cli(*arguments, "--json")
    assert as_json.status == 2
    assert fact in json.loads(as_json.out)["error"]["message"]
