"""What was used, as it is asked for and shown."""

from __future__ import annotations

import csv
import io
import time
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import msgspec
import pytest

from hydra_box.cli import render_usage
from hydra_box.cli.memory_bar import ASCII, BLOCKS, WIDTH
from hydra_box.messages import (
    UsageBy,
    UsagePer,
    UsageReport,
    UsageRow,
    UsageTotals,
)
from hydra_box.shown.usage import add
from tests.cli.conftest import Cli
from tests.cli.fake_box import FakeBox

MONDAY = datetime(2026, 11, 23).astimezone().timestamp()
TUESDAY = datetime(2026, 11, 24).astimezone().timestamp()


def a_row(at: float, name: str, prompt: int, completion: int, **changes: Any) -> UsageRow:
    values: dict[str, Any] = {
        "at": at,
        "name": name,
        "id": f"svc-{name}",
        "requests": 1,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
    }
    return UsageRow(**values | changes)


def a_report(*rows: UsageRow, **changes: Any) -> UsageReport:
    values: dict[str, Any] = {
        "by": UsageBy.MODEL,
        "per": UsagePer.DAY,
        "since": MONDAY,
        "until": TUESDAY + 3600,
        "rows": rows,
        "totals": add(rows),
    }
    return UsageReport(**values | changes)


REPORT = a_report(
    a_row(MONDAY, "public/a", 3000, 1000, requests=12),
    a_row(TUESDAY, "public/a", 500, 500),
    a_row(TUESDAY, "public/b", 900, 100, failed_requests=1),
)


def test_usage_is_asked_for_and_printed(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/usage", REPORT)
    shown = ask("usage")
    assert shown.status == 0
    assert "public/a" in shown.out
    as_json = ask("usage", "--by", "key", "--per", "month", "--json")
    assert msgspec.convert(as_json.json, UsageReport) == REPORT
    assert [asked for asked, _, _ in fake.asked] == [
        "GET /api/v1/usage?by=model&per=day",
        "GET /api/v1/usage?by=key&per=month",
    ]


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("--by user", "by=user&per=day"),
        ("--by hour", "by=all&per=hour"),
        ("--per week", "by=model&per=week"),
        ("--by key --by month", "by=key&per=month"),
        ("--by month --by service --per month", "by=service&per=month"),
        ("--by all --per week", "by=all&per=week"),
    ],
)
def test_what_to_add_up_and_the_time_are_both_by(
    ask: Cli, fake: FakeBox, words: str, asked: str
) -> None:
    fake.says("GET /api/v1/usage", REPORT)
    assert ask("usage", *words.split()).status == 0
    assert [one for one, _, _ in fake.asked] == [f"GET /api/v1/usage?{asked}"]


def test_since_and_until_are_dates_or_so_long_ago(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/usage", REPORT)
    before = time.time()
    assert ask("usage", "--since", "30d", "--until", "12h").status == 0
    assert ask("usage", "--since", "2026-11-23", "--until", "2026-11-24").status == 0
    spans, dates = (parse_qs(urlsplit(asked).query) for asked, _, _ in fake.asked)
    for name, hours in (("since", 30 * 24), ("until", 12)):
        assert before <= float(spans[name][0]) + hours * 3600 <= time.time()
    assert (float(dates["since"][0]), float(dates["until"][0])) == (MONDAY, TUESDAY)
    # What is long before 1970 is since ever.
    ask("usage", "--since", "999999w")
    assert parse_qs(urlsplit(fake.asked[-1][0]).query)["since"] == ["0.0"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--by key --by user", "by one thing and by one time"),
        ("--by day --per week", "by one thing and by one time"),
        ("--by year", "is not one of"),
        ("--since yesterday", "is neither like 30d or 12h nor a date like 2027-01-31"),
        ("--csv --json", "give one of them"),
        ("--requests", "needs --csv or --json"),
        ("--requests --csv --by key", "adds nothing up"),
        ("--key laptop", "choose among --requests"),
        ("--service public/a --csv", "choose among --requests"),
    ],
)
def test_a_question_that_is_none(ask: Cli, fake: FakeBox, words: str, told: str) -> None:
    refused = ask("usage", *words.split())
    assert refused.status == 2
    assert told in refused.err
    assert fake.asked == []


def test_rows_as_csv(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/usage", REPORT)
    rows = list(csv.DictReader(io.StringIO(ask("usage", "--csv").out)))
    assert list(rows[0]) == list(UsageRow.__struct_fields__)
    assert len(rows) == len(REPORT.rows)
    assert sum(int(row["prompt_tokens"]) for row in rows) == REPORT.totals.prompt_tokens
    first = rows[0]
    assert datetime.fromisoformat(first["at"]).timestamp() == MONDAY
    assert (first["name"], first["cost"]) == ("public/a", "")


def test_an_export_is_passed_on_as_it_is(ask: Cli, fake: FakeBox) -> None:
    said = b'{"rows":[\n{"id":"req-1"},\n{"id":"req-2"}\n]}\n'
    fake.says("GET /api/v1/usage/requests", said)
    told = ask("usage", "--requests", "--json", "--since", "2026-11-23", "--key", "my laptop")
    assert (told.status, told.out) == (0, said.decode())
    (asked,) = (one for one, _, _ in fake.asked)
    assert parse_qs(urlsplit(asked).query) == {
        "format": ["json"],
        "since": [str(MONDAY)],
        "key": ["my laptop"],
    }
    fake.says("GET /api/v1/usage/requests", b"id,at\nreq-1,x\n")
    assert ask("usage", "--requests", "--csv", "--service", "public/a").out == "id,at\nreq-1,x\n"
    assert fake.asked[-1][0] == "GET /api/v1/usage/requests?format=csv&service=public%2Fa"


def test_usage_has_a_line_a_model_a_total_and_a_bar_a_day() -> None:
    table, _, chart = click.unstyle(render_usage.usage(REPORT, BLOCKS)).partition("\n\n")
    assert [line.split() for line in table.splitlines()] == [
        ["MODEL", "REQUESTS", "FAILED", "PROMPT", "COMPLETION", "TOKENS"],
        ["public/a", "13", "0", "3,500", "1,500", "5,000"],
        ["public/b", "1", "1", "900", "100", "1,000"],
        ["total", "14", "1", "4,400", "1,600", "6,000"],
    ]
    head, monday, tuesday = chart.splitlines()
    assert head.split() == ["DAY", "TOKENS"]
    assert (monday.split()[:2], monday.split()[-1]) == (["Mon", "2026-11-23"], "4,000")
    assert (tuesday.split()[:2], tuesday.split()[-1]) == (["Tue", "2026-11-24"], "2,000")
    assert len(monday) == WIDTH
    assert monday.count("█") == 2 * tuesday.count("█") > 50


def test_what_there_is_of_more_has_columns() -> None:
    rows = (
        a_row(MONDAY, "public/a", 1, 1, refused_requests=3, cached_tokens=7, cost=1234.56789),
        a_row(MONDAY, "public/b", 1, 0, cost=0.000001, energy_watt_hours=0.25),
        a_row(MONDAY, "public/c", 0, 0),
    )
    shown = click.unstyle(render_usage.usage(a_report(*rows, currency="EUR"), BLOCKS))
    assert [line.split() for line in shown.splitlines()[:4]] == [
        [
            *("MODEL", "REQUESTS", "FAILED", "REFUSED", "PROMPT", "CACHED", "COMPLETION"),
            *("TOKENS", "COST", "EUR", "WH"),
        ],
        ["public/a", "1", "0", "3", "1", "7", "1", "2", "1,234.5679"],
        ["public/b", "1", "0", "0", "1", "0", "0", "1", "<0.0001", "0.250"],
        ["public/c", "1", "0", "0", "0", "0", "0", "0"],
    ]


def test_all_together_has_a_line_a_time() -> None:
    rows = (a_row(MONDAY, "all", 3000, 1000), a_row(TUESDAY, "all", 500, 500))
    shown = click.unstyle(render_usage.usage(a_report(*rows, by=UsageBy.ALL), BLOCKS))
    table, _, chart = shown.partition("\n\n")
    assert [line.split() for line in table.splitlines()] == [
        ["DAY", "REQUESTS", "FAILED", "PROMPT", "COMPLETION", "TOKENS"],
        ["Mon", "2026-11-23", "1", "0", "3,000", "1,000", "4,000"],
        ["Tue", "2026-11-24", "1", "0", "500", "500", "1,000"],
        ["total", "2", "0", "3,500", "1,500", "5,000"],
    ]
    assert len(chart.splitlines()) == 3


def test_little_has_a_bar_too_and_nothing_has_none() -> None:
    rows = (
        a_row(MONDAY, "public/a", 10**9, 0),
        a_row(MONDAY + 3600, "public/a", 1, 0),
        a_row(MONDAY + 7200, "public/a", 0, 0, failed_requests=1),
    )
    shown = click.unstyle(render_usage.usage(a_report(*rows, per=UsagePer.HOUR), ASCII))
    bars = [line.count("#") for line in shown.splitlines()[-3:]]
    assert bars[0] > 20
    assert bars[1:] == [1, 0]
    # Without any token there is nothing to compare with.
    render_usage.usage(a_report(rows[2]), ASCII)


@pytest.mark.parametrize(
    ("per", "label"),
    [
        (UsagePer.HOUR, "2026-11-23 00:00"),
        (UsagePer.WEEK, "2026-11-23"),
        (UsagePer.MONTH, "2026-11"),
    ],
)
def test_each_time_has_its_label(per: UsagePer, label: str) -> None:
    shown = render_usage.usage(a_report(a_row(MONDAY, "public/a", 1, 1), per=per), ASCII)
    last = click.unstyle(shown).splitlines()[-1]
    assert last.startswith(f"{label}  #")


def test_names_that_are_equal_have_a_line_each() -> None:
    rows = [a_row(MONDAY, "k", 1, 0, id=f"key-{number}") for number in range(2)]
    shown = click.unstyle(render_usage.usage(a_report(*rows, by=UsageBy.KEY), ASCII))
    assert [line.split()[0] for line in shown.splitlines()[:4]] == ["KEY", "k", "k", "total"]


def test_nothing_used() -> None:
    empty = a_report(totals=UsageTotals())
    assert render_usage.usage(empty, ASCII) == "nothing was used since 2026-11-23 00:00"
