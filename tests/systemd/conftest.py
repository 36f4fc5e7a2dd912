"""A service manager for tests, and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_box.process import find_leftovers
from hydra_box.sessions import end
from tests.cli.conftest import cli
from tests.systemd.manager import Manager

__all__ = ["cli"]


@pytest.fixture
def manager(home: Path) -> Iterator[Manager]:
    """Hears what daemons say; ends those that it started."""
    one = Manager(home.parent)
    yield one
    one.close()
    # A daemon that was killed may have been trying a runtime.
    end(find_leftovers(home), grace_seconds=5)
