"""What keys may do and have used, as it is asked for and shown."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import click
import msgspec
import pytest

from hydra_box.cli import render, render_usage
from hydra_box.cli.memory_bar import ASCII, BLOCKS, WIDTH
from hydra_box.messages import (
    CreatedKey,
    KeyView,
    UsageBy,
    UsagePer,
    UsageReport,
    UsageRow,
    UsageTotals,
)
from hydra_box.types import KeyLimits, Scope
from tests.cli.conftest import Cli
from tests.cli.fake_box import USER, FakeBox

CREATED = CreatedKey(
    key="hb-0123456789",
    id="key-1",
    name="guest",
    owner_id=USER,
    masked="hb-0...6789",
    scopes=(Scope.INFERENCE,),
    created_at=10.0,
)


def a_key_view(**changes: Any) -> KeyView:
    values: dict[str, Any] = {
        "id": "key-1",
        "name": "guest",
        "owner_id": USER,
        "masked": "hb-a...wxyz",
        "scopes": (Scope.INFERENCE,),
        "created_at": time.time() - 5,
        "last_used_at": None,
        "revoked_at": None,
    }
    return KeyView(**values | changes)


# --- keys ---------------------------------------------------------------------


def test_keys_create_with_every_term(ask: Cli, fake: FakeBox) -> None:
    fake.says("POST /api/v1/keys", CREATED)
    words = ("--expires", "2027-01-31", "--model", "public/*", "--model", "u-*/a")
    limits = (
        "--requests-per-minute",
        "60",
        "--tokens-per-minute",
        "9",
        "--concurrent-requests",
        "2",
    )
    assert ask("keys", "create", "--name", "guest", *words, *limits).status == 0
    (body,) = fake.bodies("POST /api/v1/keys")
    assert body == {
        "name": "guest",
        "scopes": ["inference"],
        "expires_at": datetime(2027, 1, 31).astimezone().timestamp(),
        "models": ["public/*", "u-*/a"],
        "limits": {"requests_per_minute": 60, "tokens_per_minute": 9, "concurrent_requests": 2},
    }


@pytest.mark.parametrize(
    ("typed", "hours"), [("12h", 12), ("30d", 30 * 24), ("4w", 4 * 7 * 24), ("0h", 0)]
)
def test_a_key_may_end_after_some_time(ask: Cli, fake: FakeBox, typed: str, hours: int) -> None:
    fake.says("POST /api/v1/keys", CREATED)
    before = time.time()
    ask("keys", "create", "--name", "guest", "--expires", typed)
    (body,) = fake.bodies("POST /api/v1/keys")
    assert before <= body["expires_at"] - hours * 3600 <= time.time()


@pytest.mark.parametrize(
    "typed", ["30", "30 days", "-1d", "d", "tomorrow", "2027-02-30", "9999999d", ""]
)
def test_an_end_that_is_none(ask: Cli, fake: FakeBox, typed: str) -> None:
    told = ask("keys", "create", "--name", "guest", "--expires", typed)
    assert told.status == 2
    assert "is neither like 30d or 12h nor a date like 2027-01-31" in told.err
    assert fake.asked == []


@pytest.mark.parametrize("option", ["requests-per-minute", "tokens-per-minute"])
def test_a_limit_is_at_least_one(ask: Cli, option: str) -> None:
    told = ask("keys", "create", "--name", "guest", f"--{option}", "0")
    assert told.status == 2
    assert "0 is not in the range" in told.err


def test_terms_are_listed_where_they_are_set_within_the_terminals_width() -> None:
    at = time.time() + 3600
    limits = KeyLimits(requests_per_minute=60, tokens_per_minute=100_000, concurrent_requests=1)
    globs = ("public/*", f"{USER}/qwen*", f"{USER}/mistral-7b-instruct", "public/llama-3.1-8b")
    views = (
        a_key_view(name="plain"),
        a_key_view(expires_at=at, models=globs, limits=limits),
        a_key_view(name="old", expires_at=time.time() - 1),
        a_key_view(name="gone", expires_at=time.time() - 1, revoked_at=time.time()),
    )
    lines = click.unstyle(render.keys(views)).splitlines()
    until = f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"
    assert max(map(len, lines)) <= WIDTH
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        *("NAME", "plain", "guest", "old", "gone")
    ]
    assert lines[3].startswith(f"  until {until}; models public/*, {USER}/qwen*,")
    told = " ".join(line.strip() for line in lines[3:6])
    assert "; 60 requests a minute; 100,000 tokens a minute; 1 request at once" in told
    states = [line.split()[-1] for line in lines if not line.startswith(" ")]
    assert states == ["STATE", "valid", "valid", "expired", "ago"]


# --- usage --------------------------------------------------------------------

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
        "totals": render_usage._sum(rows),
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
