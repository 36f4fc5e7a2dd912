"""Tables, sizes, spans, colour, and text that must not steer a terminal."""

from __future__ import annotations

import io
import re
import sys

import click
import pytest

from hydra_box.cli import output
from hydra_box.cli.progress import Progress
from hydra_box.shown import numbers


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return screen


def test_a_table_is_aligned_whatever_its_colours() -> None:
    rows = [("a", output.style("RUNNING", fg="green"), "1"), ("long-name", "STOPPED", "12")]
    plain = click.unstyle(output.table(("NAME", "STATUS", "N"), rows, right=(2,)))
    assert plain.splitlines() == [
        "NAME       STATUS    N",
        "a          RUNNING   1",
        "long-name  STOPPED  12",
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (4_000_000, "3.8 MiB"), (5 << 40, "5.0 TiB")],
)
def test_sizes(count: int, text: str) -> None:
    assert numbers.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (3660, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_spans(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_counts() -> None:
    assert [numbers.count(number, "instance") for number in (0, 1, 2_000)] == [
        "0 instances",
        "1 instance",
        "2,000 instances",
    ]


def test_ago() -> None:
    assert output.ago(None) == "never"
    assert output.ago(0.0).endswith(" ago")


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    output.put(output.style("red", fg="red"))
    assert "\x1b[31m" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.truncate(0)
    output.put(output.style("red", fg="red"))
    assert "\x1b" not in terminal.getvalue()


def test_a_pipe_has_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    output.put(output.style("red", fg="red"))
    assert capsys.readouterr().out == "red\n"


def test_text_of_a_model_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    a_terminal(monkeypatch)
    assert output.harmless("a\x1b]0;title\x07\tb\nc\x9b") == "a\ufffd]0;title\ufffd\tb\nc\ufffd"


def test_text_of_a_model_reaches_a_file_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.harmless("a\x1b[1m") == "a\x1b[1m"


def test_progress_rewrites_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = a_terminal(monkeypatch)
    with Progress() as progress:
        progress.show("loading")
        progress.show("loading")
        progress.done("ready")
    assert terminal.getvalue().count("\n") == 1
    assert re.search(r"\r\x1b\[Kready \(\d+ s\)\n\Z", terminal.getvalue())


def test_progress_prints_a_line_a_change_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for text in ("one", "one", "two"):
            progress.show(text)
    assert re.fullmatch(r"one \(\d+ s\)\ntwo \(\d+ s\)\n", capsys.readouterr().err)
