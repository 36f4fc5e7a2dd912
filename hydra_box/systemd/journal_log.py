"""The daemon's log on stderr: for journald with a level for each line, else with times."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

_LEVELS: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)
"""From which level of Python's on, which of syslog's (sd-daemon(3))."""


class _ForJournal(logging.Formatter):
    """Lines as journald takes them from a stream; it knows the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Each line with its level: journald makes an entry of each, also of a traceback's."""
        level = next(number for least, number in _LEVELS if record.levelno >= least)
        return "\n".join(f"<{level}>{line}" for line in super().format(record).splitlines())


def set_up_logging(environ: Mapping[str, str]) -> None:
    """Let this process log to stderr, as a daemon does."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(log_formatter(environ, sys.stderr))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # What uvicorn has to say of itself is said by the daemon.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # The addresses that a hub redirects to are signed: who has one has the file.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # A watchdog ends a daemon that hangs with SIGABRT: the log then shows where it hung.
    faulthandler.enable(sys.stderr)


def log_formatter(environ: Mapping[str, str], stream: TextIO) -> logging.Formatter:
    """How log lines look on this stream."""
    if goes_to_journal(environ, stream):
        return _ForJournal("%(message)s")
    return logging.Formatter("%(asctime)s %(levelname)s %(message)s")


def goes_to_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether journald reads the stream; a redirected one it does not (systemd.exec(5))."""
    about = os.fstat(stream.fileno())
    return environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"
