"""Log lines as journald takes them."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from hydra_box.systemd.journal_log import log_formatter


def line(formatter: logging.Formatter, level: int, text: str) -> str:
    return formatter.format(logging.LogRecord("x", level, __file__, 1, text, (), None))


def formatter_for(path: Path, journal: str | None = None) -> logging.Formatter:
    with path.open("w") as stream:
        about = os.fstat(stream.fileno())
        given = journal or f"{about.st_dev}:{about.st_ino}"
        return log_formatter({"JOURNAL_STREAM": given}, stream)


@pytest.mark.parametrize(
    ("level", "prefix"),
    [
        (logging.CRITICAL, "<2>"),
        (logging.ERROR, "<3>"),
        (logging.WARNING, "<4>"),
        (logging.INFO, "<6>"),
        (logging.DEBUG, "<7>"),
    ],
)
def test_each_level_has_that_of_syslog(tmp_path: Path, level: int, prefix: str) -> None:
    assert line(formatter_for(tmp_path / "log"), level, "said") == f"{prefix}said"


def test_each_line_of_a_message_has_it(tmp_path: Path) -> None:
    formatter = formatter_for(tmp_path / "log")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "broke", (), sys.exc_info())
    lines = formatter.format(record).splitlines()
    assert lines[0] == "<3>broke"
    assert lines[-2:] == ["<3>ValueError: two", "<3>lines"]


def test_a_stream_that_is_not_the_journal_gets_times(tmp_path: Path) -> None:
    text = line(formatter_for(tmp_path / "log", "0:0"), logging.INFO, "said")
    assert text.endswith(" INFO said")
    assert text[:2] == "20"
