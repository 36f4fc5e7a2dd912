"""A plan in words and bars: what would run where, from what it was decided, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from textual.content import Content

from hydra_box.messages import PlanView
from hydra_box.shown import plans
from hydra_box.shown.numbers import count, size
from hydra_box.types import CPU, PlanOutcome
from tui.widgets.plan_bars import NAME_WIDTH, device_title, plan_bars
from tui.words import cut

_PARTS: Final = ("weights", "KV cache", "compute", "overhead", "total")


def plan_head(plan: PlanView, *, disk_free_bytes: int | None) -> Content:
    """Whether it fits, and what of it."""
    return Content("\n").join(_head(plan, disk_free_bytes))


def plan_body(plan: PlanView, width: int) -> Content:
    """The devices, the memory, and why."""
    return Content("\n").join(_body(plan, width))


def _head(plan: PlanView, disk_free_bytes: int | None) -> Iterator[Content]:
    if not plan.fits:
        refused = "does not fit" if plan.missing else "cannot run"
        yield Content.styled(f"✗ {plan.model} {refused} on this machine", "bold $text-error")
        yield from (Content(f"  missing: {one.message}") for one in plan.missing)
        if not plan.missing and plan.reasons:
            yield Content(f"  {plan.reasons[-1]}")
        if plan.most_instances:
            yield Content(f"  {count(plan.most_instances, 'instance')} of it run now")
        return
    served = " ".join(word for word in (str(plan.engine), plan.quantization) if word)
    if plan.outcome is PlanOutcome.INSTALL_FIRST:
        yield Content.styled(
            f"! {plan.model} fits, once {plan.engine} is installed for it", "bold $text-warning"
        )
        yield Content(f"  i opens Engines, which installs it; then: {served}")
    else:
        names = _names(plan) | {CPU: "the CPU"}
        place = f" on {plans.where(plan, names)}" if plan.placements else ""
        yield Content.styled(f"✓ {plan.model} fits: {served}{place}", "bold $text-success")
    yield Content(f"  {plans.extent(plan)}")
    yield _download(plan, disk_free_bytes)


def _download(plan: PlanView, disk_free_bytes: int | None) -> Content:
    if not plan.download_bytes:
        return Content("  nothing to download: it is on this machine")
    free = "" if disk_free_bytes is None else f"; the disk has {size(disk_free_bytes)} free"
    text = f"  download first: {size(plan.download_bytes)}{free}"
    if disk_free_bytes is not None and plan.download_bytes > disk_free_bytes:
        return Content.styled(f"{text}: too little", "$text-error")
    return Content(text)


def _body(plan: PlanView, width: int) -> Iterator[Content]:
    yield from plan_bars(plan, width)
    if plan.placements:
        yield Content("")
        yield from _memory(plan)
    yield Content("")
    yield Content.styled("why", "bold")
    yield from _numbered(plan.reasons)
    if plan.facts_source is not None:
        yield Content.styled(f"facts: {plans.FACTS[plan.facts_source]}", "dim")
    if taught := plans.learned(plan):
        yield Content.styled(taught, "dim")


def _names(plan: PlanView) -> dict[str, str]:
    """The devices, short, by UUID."""
    return {one.device: device_title(one.name) for one in plan.devices}


def _memory(plan: PlanView) -> Iterator[Content]:
    """Predicted GiB by part, of the first instance; devices that take the same share a line."""
    heads = "".join(f" {part:>8}" for part in _PARTS)
    yield Content.styled(f"{'an instance, GiB':<{NAME_WIDTH}}{heads}", "bold")
    for title, parts in plans.memory_parts(plan, _names(plan)):
        figures = "".join(f" {_figure(part):>8}" for part in (*parts, sum(parts)))
        yield Content(f"{cut(title, NAME_WIDTH):<{NAME_WIDTH}}{figures}")


def _figure(count_bytes: int) -> str:
    """GiB; what is there and rounds to nothing is ``<0.01``."""
    number = count_bytes / (1 << 30)
    return "<0.01" if 0 < number < 0.005 else f"{number:,.2f}"


def _numbered(sentences: Iterable[str]) -> Iterator[Content]:
    for number, sentence in enumerate(sentences, 1):
        yield Content(f"{number}. {sentence}")
