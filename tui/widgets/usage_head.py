"""The lines of the usage screen: what is shown, the sums, and what to do when there are none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from textual.content import Content

from hydra_box.messages import ServiceView, UsageBy, UsagePer, UsageReport
from hydra_box.shown.numbers import count
from hydra_box.shown.text import harmless
from hydra_box.shown.usage import tokens, told_cost, told_energy
from hydra_box.types import Frozen
from tui.widgets.keys_words import moment
from tui.widgets.usage_buckets import Bucket

HOURS_SHOWN: Final = 48
_SPANS: Final = {
    UsagePer.HOUR: f"{HOURS_SHOWN} hours",
    UsagePer.DAY: "14 days",
    UsagePer.WEEK: "12 weeks",
    UsagePer.MONTH: "12 months",
}
_PER_KEYS: Final = {UsagePer.MONTH: "M"}
"""Where a key is not the first letter."""


SHOWN_BY: Final = (UsageBy.MODEL, UsageBy.KEY, UsageBy.USER, UsageBy.SERVICE)
"""What the table may have a line for; the sum of all is above them."""


class Measure(StrEnum):
    """What the bars are high by."""

    TOKENS = "tokens"
    REQUESTS = "requests"

    def of(self, bucket: Bucket) -> int:
        """How high the bar is."""
        return tokens(bucket.sums) if self is Measure.TOKENS else bucket.sums.requests


class UsageView(Frozen, frozen=True, kw_only=True):
    """What is to be seen of the usage."""

    by: UsageBy = UsageBy.MODEL
    per: UsagePer = UsagePer.DAY
    measure: Measure = Measure.TOKENS


def head(view: UsageView) -> Content:
    """Every choice with its key; a full mark is on what is chosen."""
    by = _choices((f"by('{one}')", one[0], one.value, one is view.by) for one in SHOWN_BY)
    per = _choices(
        (f"per('{one}')", _PER_KEYS.get(one, one[0]), one.value, one is view.per)
        for one in UsagePer
    )
    measure = _choice(("measure", "t", view.measure.value, True))
    # All in one line would be wider than a narrow terminal.
    return Content("\n").join((by, Content("  │  ").join((per, measure))))


def _choices(choices: Iterable[tuple[str, str, str, bool]]) -> Content:
    return Content("  ").join(map(_choice, choices))


def _choice(choice: tuple[str, str, str, bool]) -> Content:
    action, key, title, chosen = choice
    mark, style = ("●", "b") if chosen else ("○", "$text-muted")
    return Content.from_markup(
        f"[@click=screen.{action}][$accent]{key}[/] [{style}]{mark} {title}[/][/]"
    )


def told_totals(report: UsageReport) -> Content:
    """The sums of the report in a sentence."""
    total = report.totals
    not_answered = [f"! {total.failed_requests:,} failed"] if total.failed_requests else []
    not_answered += [f"{total.refused_requests:,} refused"] if total.refused_requests else []
    cost = harmless(told_cost(total.cost, report.currency))
    energy = told_energy(total.energy_watt_hours)
    return Content.assemble(
        (count(total.requests, "request"), "bold"),
        (f" ({', '.join(not_answered)})" if not_answered else "", "$text-warning"),
        ", ",
        (count(total.prompt_tokens, "prompt token"), "bold"),
        ", ",
        (count(total.completion_tokens, "completion token"), "bold"),
        (f", {cost}" if cost else "", "bold"),
        (f", {energy} Wh" if energy else "", "bold"),
        (f"  since {moment(report.since)}", "$text-muted"),
    )


def told_chart(
    whose: str, view: UsageView, report: UsageReport, shown: Sequence[Bucket]
) -> Content:
    """Whose bars they are, of what, and the highest of them."""
    highest = max(shown, key=view.measure.of)
    words = f"{view.measure.value} per {report.per.value}"
    text = Content.assemble((harmless(whose), "bold"), f", {words}")
    if not view.measure.of(highest):
        return Content.assemble(text, ("  none", "$text-muted"))
    figure = f"  highest: {view.measure.of(highest):,}, {highest.name}"
    return Content.assemble(text, (figure, "$text-muted"))


def nothing(report: UsageReport, services: Iterable[ServiceView]) -> Content:
    """Nothing was used: what it takes to change that."""
    title = Content.styled(f"Nothing was called in the last {_SPANS[report.per]}.", "bold")
    if next(iter(services), None) is None:
        how = "There is no service to call yet: 1 and then d deploys one."
    else:
        how = (
            "Enter opens a service: its page has its address and samples to paste,\n"
            "in curl, Python and Node.js. Each call needs a key: 3 and then n makes one."
        )
    return Content.assemble(title, f"\n\n{how}\n\nLonger ago? M shows the last 12 months.")
