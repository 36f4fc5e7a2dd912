from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from hydra_box.errors import InvalidRequest
from hydra_box.keys.rules import LONGEST_GRACE_SECONDS
from hydra_box.messages import CreateKeyRequest, EditKeyRequest, KeyView
from hydra_box.types import KeyLimits, QuotaPeriod, Scope, TokenQuota
from tui.widgets.keys_draft import KeyDraft, draft_of, read_changes, read_draft
from tui.widgets.keys_values import (
    HIGHEST_LIMIT,
    read_expiry,
    read_grace,
    read_limit,
    read_models,
    read_name,
    read_quota,
    told_expiry,
)
from tui.widgets.keys_words import KeyState, ends, limits, state_of
from tui.words import ago

NOW = 1_800_000_000.0
DAY = 86_400.0
SUMMER = timezone(timedelta(hours=-4))


@pytest.fixture(autouse=True)
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7d", 7 * DAY),
        ("30", 30 * DAY),
        (" 90 days ", 90 * DAY),
        ("1 Day", DAY),
        ("12h", DAY / 2),
        ("2w", 14 * DAY),
    ],
)
def test_a_span_counts_from_now(text: str, seconds: float) -> None:
    assert read_expiry(text, NOW) == NOW + seconds


@pytest.mark.parametrize("text", ["", "never", " Never "])
def test_a_key_may_never_end(text: str) -> None:
    assert read_expiry(text, NOW) is None


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("2027-07-31", datetime(2027, 7, 31, tzinfo=SUMMER)),
        ("2027-07-31 14:30", datetime(2027, 7, 31, 14, 30, tzinfo=SUMMER)),
        ("2027-07-31T14:30:00", datetime(2027, 7, 31, 14, 30, tzinfo=SUMMER)),
    ],
)
def test_a_date_is_of_the_zone_of_who_types_it(text: str, local: datetime) -> None:
    assert read_expiry(text, NOW) == local.timestamp()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2020-01-31", "2020-01-31 00:00 is over"),
        ("0d", "is over"),
        ("999999w", "too far away"),
        ("9999-12-31T23:59", "too far away"),
        ("soon", "'soon' is no time"),
        ("2027-02-30", "is no time"),
        ("-3d", "is no time"),
    ],
)
def test_what_is_over_or_no_time_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        read_expiry(text, NOW)


def test_the_meaning_of_an_expiry_is_told() -> None:
    assert told_expiry(None, NOW) == "it never ends"
    # NOW is 2027-01-15 03:00 in New York.
    assert told_expiry(NOW + 30 * DAY, NOW) == "it ends at 2027-02-14 03:00, in 30 d"


@pytest.mark.parametrize(
    ("text", "limit"), [("", None), (" ", None), ("1", 1), ("12,000", 12_000), ("1_000 000", 10**6)]
)
def test_a_limit_is_a_number_or_nothing(text: str, limit: int | None) -> None:
    assert read_limit(text) == limit


@pytest.mark.parametrize("text", ["0", "-1", "12k", "1.5", "²", str(HIGHEST_LIMIT + 1), "9" * 5000])
def test_another_limit_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_limit(text)


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("", None),
        ("  ", None),
        ("5", TokenQuota(tokens=5)),
        ("10,000/day", TokenQuota(tokens=10_000, period=QuotaPeriod.DAY)),
        (" 7 / MONTH ", TokenQuota(tokens=7, period=QuotaPeriod.MONTH)),
    ],
)
def test_a_quota_is_of_a_period_or_in_all(text: str, quota: TokenQuota | None) -> None:
    assert read_quota(text) == quota


@pytest.mark.parametrize("text", ["/day", "5/", "5/year", "0/day", "5k", "day"])
def test_another_quota_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_quota(text)


def test_models_are_globs_between_commas() -> None:
    assert read_models(" public/*, */demo,,public/* ") == ("public/*", "*/demo")
    with pytest.raises(InvalidRequest, match="no glob"):
        read_models("x" * 129)


@pytest.mark.parametrize("text", ["", "  ", "x" * 65, "a\x1bb", "taken"])
def test_a_name_that_the_box_would_refuse_is_refused_first(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_name(text, {"taken"})


def test_a_draft_becomes_a_request() -> None:
    draft = KeyDraft(
        name=" my-app ",
        user=" mary ",
        scopes=(Scope.INFERENCE, Scope.ADMIN),
        expires="7d",
        models="public/*",
        denied="*/big, */huge",
        requests_per_minute="60",
        concurrent_requests="2",
        quota="1,000 / Week",
    )
    assert read_draft(draft, (), NOW) == CreateKeyRequest(
        name="my-app",
        user="mary",
        scopes=(Scope.INFERENCE, Scope.ADMIN),
        expires_at=NOW + 7 * DAY,
        models=("public/*",),
        denied_models=("*/big", "*/huge"),
        limits=KeyLimits(requests_per_minute=60, concurrent_requests=2),
        quota=TokenQuota(tokens=1000, period=QuotaPeriod.WEEK),
    )


def test_everything_that_is_wrong_is_told_at_once() -> None:
    draft = KeyDraft(
        name="",
        scopes=(),
        expires="gone",
        models="x" * 200,
        denied="\x1b",
        tokens_per_minute="many",
        quota="5/year",
    )
    problems = read_draft(draft, (), NOW)
    assert isinstance(problems, dict)
    assert list(problems) == [
        *("name", "scopes", "expires", "models", "denied", "tokens_per_minute", "quota")
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0.0), ("0", 0.0), (" 24H ", DAY), ("7", 7 * DAY), ("2w", 14 * DAY)]
)
def test_a_grace_is_a_span_or_none(text: str, seconds: float) -> None:
    assert read_grace(text) == seconds


def test_the_longest_grace_is_that_of_the_box() -> None:
    assert read_grace("90d") == LONGEST_GRACE_SECONDS
    with pytest.raises(InvalidRequest, match="91d is too long"):
        read_grace("91d")


@pytest.mark.parametrize("text", ["soon", "-1d", "2027-01-31"])
def test_another_grace_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is no span"):
        read_grace(text)


KEY = KeyView(
    id="key-1",
    name="app",
    owner_id="u-1",
    owner_name="mary",
    masked="hb-a...wxyz",
    scopes=(Scope.INFERENCE,),
    created_at=0.0,
    last_used_at=None,
    revoked_at=None,
    # It ended a minute and a half ago.
    expires_at=NOW - 90,
    models=("public/*", "*/demo"),
    limits=KeyLimits(tokens_per_minute=12_000),
    quota=TokenQuota(tokens=5000, period=QuotaPeriod.DAY),
)


def test_a_key_as_it_would_be_typed() -> None:
    draft = draft_of(KEY)
    assert (draft.name, draft.user, draft.expires) == ("app", "mary", "2027-01-15 02:58")
    assert (draft.models, draft.denied) == ("public/*, */demo", "")
    assert (draft.tokens_per_minute, draft.quota) == ("12,000", "5,000/day")
    assert read_quota(draft.quota) == KEY.quota
    in_all = replace(KEY, quota=TokenQuota(tokens=7), expires_at=None)
    assert (draft_of(in_all).quota, draft_of(in_all).expires) == ("7", "never")


def test_what_was_not_changed_is_not_sent() -> None:
    before = draft_of(KEY)
    assert read_changes(before, before, (), NOW) == EditKeyRequest()
    draft = replace(before, name="app2", models="", tokens_per_minute="", quota="9")
    assert read_changes(draft, before, {"other"}, NOW) == EditKeyRequest(
        name="app2", models=(), tokens_per_minute=None, quota=TokenQuota(tokens=9)
    )
    assert read_changes(replace(before, expires="7d"), before, (), NOW) == EditKeyRequest(
        expires_at=NOW + 7 * DAY
    )


def test_what_is_changed_for_the_worse_is_told() -> None:
    before = draft_of(KEY)
    problems = read_changes(replace(before, name="other", quota="x"), before, {"other"}, NOW)
    assert isinstance(problems, dict)
    assert list(problems) == ["name", "quota"]


def _key(
    *,
    expires_at: float | None = None,
    revoked_at: float | None = None,
    disabled_at: float | None = None,
    owner_disabled_at: float | None = None,
) -> KeyView:
    return KeyView(
        id="key-1",
        name="app",
        owner_id="u-1",
        masked="hb-a...wxyz",
        scopes=(Scope.INFERENCE,),
        created_at=0.0,
        last_used_at=None,
        revoked_at=revoked_at,
        disabled_at=disabled_at,
        owner_disabled_at=owner_disabled_at,
        expires_at=expires_at,
    )


@pytest.mark.parametrize(
    ("key", "state"),
    [
        (_key(), KeyState.VALID),
        (_key(expires_at=NOW + 1), KeyState.VALID),
        (_key(expires_at=NOW), KeyState.EXPIRED),
        (_key(disabled_at=NOW), KeyState.DISABLED),
        (_key(owner_disabled_at=NOW, expires_at=NOW - 1), KeyState.DISABLED),
        (_key(expires_at=NOW - 1, disabled_at=NOW, revoked_at=NOW), KeyState.REVOKED),
    ],
)
def test_the_state_of_a_key(key: KeyView, state: KeyState) -> None:
    assert state_of(key, NOW) is state


def test_times_and_limits_in_words() -> None:
    assert [ago(at, NOW) for at in (None, NOW + 5, NOW - 9, NOW - 75, NOW - 2.5 * DAY)] == [
        "never",
        "just now",
        "just now",
        "1 min ago",
        "2 d ago",
    ]
    assert [ends(at, NOW) for at in (None, NOW + 1.9 * DAY, NOW - 7200)] == [
        "never",
        "in 2 d",
        "2 h ago",
    ]
    told = limits(KeyLimits(requests_per_minute=60, tokens_per_minute=12_000))
    assert list(told) == ["60 requests/min", "12,000 tokens/min"]
