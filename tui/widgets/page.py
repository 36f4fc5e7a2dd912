"""Scrolling as all pages do it: up and down by arrows and vi's keys; left and right are free."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

SCROLL_KEYS: list[BindingType] = [
    Binding("up,k", "scroll_up", "Up", show=False),
    Binding("down,j", "scroll_down", "Down", show=False),
    Binding("pageup,ctrl+u", "page_up", "Page up", show=False),
    Binding("pagedown,ctrl+d", "page_down", "Page down", show=False),
    Binding("home,g", "scroll_home", "Start", show=False),
    Binding("end,G", "scroll_end", "End", show=False),
]


class Page(VerticalScroll, inherit_bindings=False):
    """What is longer than the screen."""

    BINDINGS: ClassVar[list[BindingType]] = SCROLL_KEYS
