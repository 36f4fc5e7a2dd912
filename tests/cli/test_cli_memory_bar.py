"""Bars of memory: true to their parts, readable without colour, in letters where need be."""

from __future__ import annotations

import io
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.cli.memory_bar import ASCII, BLOCKS, bar, devices, figure, glyphs, label
from hydra_box.messages import DevicePlan
from hydra_box.shown.numbers import shares

GIB = 1 << 30


def a_device(
    name: str = "CPU (a CPU)", *, others: int, ours: int = 0, plan: int = 0, total: int = 24
) -> DevicePlan:
    """A device; sizes in GiB."""
    return DevicePlan(
        device="cpu",
        name=name,
        total_bytes=total * GIB,
        others_bytes=others * GIB,
        ours_bytes=ours * GIB,
        predicted_bytes=plan * GIB,
        available_bytes=(total - others - ours) * GIB,
    )


@given(st.lists(st.integers(0, 1 << 44), min_size=4, max_size=4), st.integers(4, 100))
def test_shares_fill_the_width_and_hide_nothing(parts: list[int], width: int) -> None:
    counts = shares(parts, width)
    assert sum(counts) == (width if any(parts) else 0)
    assert [count > 0 for count in counts] == [part > 0 for part in parts]
    for part, count in zip(parts, counts, strict=True):
        exact = part * width / (sum(parts) or 1)
        # One character for what is too little to see may be taken from each other part.
        assert abs(count - exact) <= 3


def test_the_parts_stand_in_one_order() -> None:
    one = a_device(others=6, ours=6, plan=9)
    assert click.unstyle(bar(one, 8, ASCII)) == "xxoo###."
    assert click.unstyle(bar(one, 8, BLOCKS)) == "▒▒▓▓███░"


def test_a_plan_over_what_there_is_still_has_a_bar_of_that_width() -> None:
    assert len(click.unstyle(bar(a_device(others=20, plan=40), 10, ASCII))) == 10


def test_columns_that_would_be_empty_are_left_out() -> None:
    shown = click.unstyle(devices((a_device(others=2, total=16),), ASCII))
    assert "OURS" not in shown
    assert "PLAN" not in shown
    head, line, legend = shown.splitlines()
    assert head.split() == ["DEVICE", "MEMORY", "OTHERS", "FREE", "TOTAL"]
    assert line.split()[-3:] == ["2.0", "14.0", "16.0"]
    assert "this plan" not in legend
    assert len(line) == 80


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("GPU 0 (NVIDIA GeForce RTX 4090)", "GPU 0 (RTX 4090)"),
        ("GPU 7 (NVIDIA H200)", "GPU 7 (H200)"),
        ("CPU (AMD EPYC 9654 96-Core Processor)", "CPU"),
        ("GPU 0 (NVIDIA RTX PRO 6000 Blackwell Server Edition)", "GPU 0 (RTX PRO 6000 B..."),
    ],
)
def test_names_are_short(name: str, short: str) -> None:
    assert label(name) == short


@pytest.mark.parametrize(
    ("count", "digits", "text"),
    [
        (0, 1, "0.0"),
        (1 << 20, 1, "<0.1"),
        (1 << 20, 2, "<0.01"),
        (10 << 20, 2, "0.01"),
        (int(22.06 * GIB), 1, "22.1"),
        (2048 * GIB, 1, "2,048.0"),
    ],
)
def test_figures(count: int, digits: int, text: str) -> None:
    assert figure(count, digits) == text


@pytest.mark.parametrize(
    ("encoding", "chars"), [("utf-8", BLOCKS), ("ascii", ASCII), ("latin-1", ASCII)]
)
def test_blocks_only_where_they_can_be_shown(
    monkeypatch: pytest.MonkeyPatch, encoding: str, chars: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert glyphs() == chars
