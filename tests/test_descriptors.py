"""The limit on open files is raised as far as it may be, and one that is too low is told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hydra_box.descriptors import WANTED, too_few

SCRIPT = """
import resource, sys
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from hydra_box.descriptors import take_descriptors
warning = take_descriptors(4096)
print(resource.getrlimit(resource.RLIMIT_NOFILE), warning)
"""


def taken(soft: int, hard: int) -> str:
    """What a process with such limits has after it."""
    command = (sys.executable, "-c", SCRIPT, str(soft), str(hard))
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def test_it_is_raised_to_the_hard_limit_and_that_may_be_too_low() -> None:
    out = taken(256, 2000)
    assert out.startswith("(2000, 2000) this process may open 2,000 files, and 4,096 connections")


def test_a_limit_that_is_high_enough_stays() -> None:
    assert taken(10_000, 10_000) == "(10000, 10000) None\n"


@pytest.mark.parametrize(("allowed", "connections"), [(WANTED, 4096), (8704, 4096), (1024, 256)])
def test_enough_is_no_news(allowed: int, connections: int) -> None:
    assert too_few(allowed, connections) is None


def test_too_few_are_told_with_both_numbers() -> None:
    told = too_few(1024, 4096)
    assert told is not None
    assert "may open 1,024 files, and 4,096 connections need 8,704" in told
