"""The command line in this process, and a box that answers from a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from hydra_box.cli.main import run
from tests.cli.fake_box import FakeBox, fake_box


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return msgspec.json.decode(self.out)


Cli = Callable[..., Outcome]
"""``cli("status", "--json", input="typed")``."""


@pytest.fixture
def cli() -> Cli:
    """Runs the program in this process, away from the terminal."""

    def run_it(*arguments: str, input: str = "") -> Outcome:
        with CliRunner().isolation(input=input) as (out, err, _):
            status = run(arguments)
            return Outcome(status, out.getvalue().decode(), err.getvalue().decode())

    return run_it


@pytest.fixture
def fake() -> Iterator[FakeBox]:
    """A scripted box."""
    with fake_box() as box:
        yield box


@pytest.fixture
def ask(cli: Cli, fake: FakeBox) -> Cli:
    """Runs the program against the scripted box."""

    def run_it(*arguments: str, input: str = "") -> Outcome:
        return cli("--url", fake.url, "--api-key", "hb-secret", *arguments, input=input)

    return run_it
