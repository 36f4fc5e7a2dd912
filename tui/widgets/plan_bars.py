"""The devices of a plan as bars: now, and with what the plan adds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from textual.content import Content

from hydra_box.messages import DevicePlan, PlanView
from tui.widgets.memory_bar import legend, memory_bar
from tui.words import cut, gib

NAME_WIDTH: Final = 16
_BOTH_BARS_UP_TO: Final = 3
"""Devices; of more, one bar each has to tell before and after."""


def device_title(name: str) -> str:
    """A device's name, short: ``GPU 0 (RTX 4090)``; the CPU without its model."""
    short = name.replace("NVIDIA ", "").replace("GeForce ", "")
    return "CPU and RAM" if short.startswith("CPU") else short


def plan_bars(plan: PlanView, width: int) -> Iterator[Content]:
    """Lines: each device now and then, and what the characters mean."""
    length = max(10, min(50, width - NAME_WIDTH - 36))
    both = plan.fits and len(plan.devices) <= _BOTH_BARS_UP_TO
    for one in plan.devices:
        title = f"{cut(device_title(one.name), NAME_WIDTH):<{NAME_WIDTH}}"
        if both and one.predicted_bytes:
            yield _bar(one, 0, length, f"{title} now  ")
            title = " " * NAME_WIDTH
        yield _bar(one, one.predicted_bytes, length, f"{title} {'then' if both else ''} ")
    yield legend(plan=plan.fits)


def _bar(one: DevicePlan, plan: int, length: int, title: str) -> Content:
    taken = one.others_bytes + one.ours_bytes
    free = max(0, one.total_bytes - taken - plan)
    bar = memory_bar(
        others=one.others_bytes, ours=one.ours_bytes, plan=plan, free=free, width=length
    )
    more = f"+{gib(plan)}, " if plan else ""
    return Content.assemble(title, bar, f" {more}{gib(free)} of {gib(one.total_bytes)} GiB free")
