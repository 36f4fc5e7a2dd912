"""The lines of the usage screen: what is shown, the sums, and what to do when there are none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from textual.content import Content

from hydra_box.messages import ServiceView, UsageBy, UsagePer, UsageReport
from hydra_box.shown.numbers import count
from hydra_box.shown.text import harmless
from hydra_box.types import Frozen
from tui.widgets.keys_words import moment
from tui.widgets.usage_buckets import Bucket, tokens

_SPANS: Final = {
    UsagePer.HOUR: "48 hours",
    UsagePer.DAY: "14 days",
    UsagePer.WEEK: "12 weeks",
    UsagePer.MONTH: "12 months",
}


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
    groups = (
        [(f"by('{by}')", by[0], by.value, by is view.by) for by in UsageBy],
        [
            (
                f"per('{per}')",
                "M" if per is UsagePer.MONTH else per[0],
                per.value,
                per is view.per,
            )
            for per in UsagePer
        ],
        [("measure", "t", view.measure.value, True)],
    )
    return Content("  │  ").join(Content("  ").join(map(_choice, group)) for group in groups)


def _choice(choice: tuple[str, str, str, bool]) -> Content:
    action, key, title, chosen = choice
    mark, style = ("●", "b") if chosen else ("○", "$text-muted")
    return Content.from_markup(
        f"[@click=screen.{action}][$accent]{key}[/] [{style}]{mark} {title}[/][/]"
    )


def told_totals(report: UsageReport) -> Content:
    """The sums of the report in a sentence."""
    total = report.totals
    failed = total.failed_requests
    return Content.assemble(
        (count(total.requests, "request"), "bold"),
        (f" (! {failed:,} failed)" if failed else "", "$text-warning"),
        ", ",
        (count(total.prompt_tokens, "prompt token"), "bold"),
        ", ",
        (count(total.completion_tokens, "completion token"), "bold"),
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
