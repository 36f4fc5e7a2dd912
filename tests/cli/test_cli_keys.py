"""Keys: what is asked of the box for them, and how they are shown."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import click
import msgspec
import pytest

from hydra_box.cli import render_keys
from hydra_box.cli.memory_bar import WIDTH
from hydra_box.messages import CreatedKey, KeyView
from hydra_box.types import KeyLimits, QuotaPeriod, Scope, TokenQuota
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
        "owner_name": "local",
        "masked": "hb-a...wxyz",
        "scopes": (Scope.INFERENCE,),
        "created_at": time.time() - 5,
        "last_used_at": None,
        "revoked_at": None,
    }
    return KeyView(**values | changes)


def plain(value: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"


# --- create -------------------------------------------------------------------


def test_create_with_every_term(ask: Cli, fake: FakeBox) -> None:
    fake.says("POST /api/v1/keys", CREATED)
    words = ("--user", "mary", "--expires", "2027-01-31", "--quota", "100,000/day")
    globs = ("--model", "public/*", "--model", "u-*/a", "--deny", "*/big", "--deny", "*/huge")
    limits = (
        "--requests-per-minute",
        "60",
        "--tokens-per-minute",
        "9",
        "--concurrent-requests",
        "2",
    )
    assert ask("keys", "create", "--name", "guest", *words, *globs, *limits).status == 0
    (body,) = fake.bodies("POST /api/v1/keys")
    assert {name: value for name, value in body.items() if value is not None} == {
        "name": "guest",
        "user": "mary",
        "scopes": ["inference"],
        "expires_at": datetime(2027, 1, 31).astimezone().timestamp(),
        "models": ["public/*", "u-*/a"],
        "denied_models": ["*/big", "*/huge"],
        "limits": {"requests_per_minute": 60, "tokens_per_minute": 9, "concurrent_requests": 2},
        "quota": {"tokens": 100_000, "period": "day"},
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


@pytest.mark.parametrize(
    ("typed", "quota"),
    [
        ("1", TokenQuota(tokens=1)),
        ("1_000", TokenQuota(tokens=1000)),
        ("5/total", TokenQuota(tokens=5)),
        ("5/week", TokenQuota(tokens=5, period=QuotaPeriod.WEEK)),
        ("5/month", TokenQuota(tokens=5, period=QuotaPeriod.MONTH)),
    ],
)
def test_a_quota_is_of_a_period_or_in_all(
    ask: Cli, fake: FakeBox, typed: str, quota: TokenQuota
) -> None:
    fake.says("POST /api/v1/keys", CREATED)
    ask("keys", "create", "--name", "guest", "--quota", typed)
    (body,) = fake.bodies("POST /api/v1/keys")
    assert msgspec.convert(body["quota"], TokenQuota) == quota


@pytest.mark.parametrize("typed", ["", "day", "5/", "5/year", "5/Day", "-5", "1.5", "5k", "9" * 20])
def test_a_quota_that_is_none(ask: Cli, fake: FakeBox, typed: str) -> None:
    for words in (("create", "--name", "guest"), ("edit", "guest")):
        told = ask("keys", *words, "--quota", typed)
        assert told.status == 2
        assert "is not like 100000 or 100000/day, /week or /month" in told.err
    assert fake.asked == []


@pytest.mark.parametrize("option", ["requests-per-minute", "tokens-per-minute"])
@pytest.mark.parametrize("number", ["0", "9" * 30])
def test_a_limit_is_at_least_one(ask: Cli, option: str, number: str) -> None:
    told = ask("keys", "create", "--name", "guest", f"--{option}", number)
    assert told.status == 2
    assert f"{number} is not in the range" in told.err


# --- edit ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("--name", "visitor"), {"name": "visitor"}),
        (("--scope", "admin", "--scope", "admin"), {"scopes": ["admin"]}),
        (("--expires", "never"), {"expires_at": None}),
        (("--model", "a", "--model", "b"), {"models": ["a", "b"]}),
        (("--any-model",), {"models": []}),
        (("--deny", "a"), {"denied_models": ["a"]}),
        (("--no-deny",), {"denied_models": []}),
        (("--requests-per-minute", "5"), {"requests_per_minute": 5}),
        (("--requests-per-minute", "none"), {"requests_per_minute": None}),
        (("--tokens-per-minute", "none"), {"tokens_per_minute": None}),
        (("--concurrent-requests", "none"), {"concurrent_requests": None}),
        (("--quota", "none"), {"quota": None}),
        (("--quota", "7/week"), {"quota": {"tokens": 7, "period": "week"}}),
        (("--name", "x", "--no-deny"), {"name": "x", "denied_models": []}),
    ],
)
def test_an_edit_sends_what_is_given_and_nothing_else(
    ask: Cli, fake: FakeBox, words: tuple[str, ...], body: dict[str, object]
) -> None:
    fake.says("PATCH /api/v1/keys/guest", a_key_view(name="visitor"))
    shown = ask("keys", "edit", "guest", *words)
    assert (shown.status, shown.out.splitlines()[1].split()[0]) == (0, "visitor")
    assert fake.bodies("PATCH /api/v1/keys/guest") == [body]


def test_an_end_is_edited_as_it_is_given(ask: Cli, fake: FakeBox) -> None:
    fake.says("PATCH /api/v1/keys/guest", a_key_view())
    assert ask("keys", "edit", "guest", "--expires", "2027-01-31", "--json").json["name"] == "guest"
    at = datetime(2027, 1, 31).astimezone().timestamp()
    assert fake.bodies("PATCH /api/v1/keys/guest") == [{"expires_at": at}]


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        ((), "give at least one of the options"),
        (("--model", "a", "--any-model"), "give one of --model and --any-model"),
        (("--deny", "a", "--no-deny"), "give one of --deny and --no-deny"),
        (("--requests-per-minute", "many"), "'many' is not a valid integer"),
        (("--expires", "none"), "is neither like 30d"),
    ],
)
def test_an_edit_that_is_none(ask: Cli, fake: FakeBox, words: tuple[str, ...], fact: str) -> None:
    told = ask("keys", "edit", "guest", *words)
    assert (told.status, fact in told.err, fake.asked) == (2, True, [])


@pytest.mark.parametrize(("verb", "disabled"), [("disable", True), ("enable", False)])
def test_disable_and_enable(ask: Cli, fake: FakeBox, verb: str, disabled: bool) -> None:
    at = 20.0 if disabled else None
    fake.says("PATCH /api/v1/keys/guest", a_key_view(disabled_at=at))
    assert ("disabled" in ask("keys", verb, "guest").out) is disabled
    assert ask("keys", verb, "guest", "--json").json["disabled_at"] == at
    assert fake.bodies("PATCH /api/v1/keys/guest") == [{"disabled": disabled}] * 2


# --- rotate -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "seconds", "told"),
    [
        ((), 0, "the old one opens nothing any more"),
        (("--grace", "24h"), 86_400, "the old one opens for 1 d 0 h more"),
        (("--grace", "1w"), 7 * 86_400, "the old one opens for 7 d 0 h more"),
    ],
)
def test_rotate_prints_only_the_new_key_on_stdout(
    ask: Cli, fake: FakeBox, words: tuple[str, ...], seconds: float, told: str
) -> None:
    fake.says("POST /api/v1/keys/guest/rotate", CREATED)
    shown = ask("keys", "rotate", "guest", *words)
    assert shown.out == "hb-0123456789\n"
    assert "not shown again" in shown.err
    assert told in shown.err
    assert ask("keys", "rotate", "guest", *words, "--json").json == plain(CREATED)
    bodies = fake.bodies("POST /api/v1/keys/guest/rotate")
    assert bodies == [{"grace_seconds": seconds}] * 2


@pytest.mark.parametrize("typed", ["24", "1m", "2027-01-31", "-1h", "1.5h", ""])
def test_a_grace_that_is_none(ask: Cli, fake: FakeBox, typed: str) -> None:
    told = ask("keys", "rotate", "guest", "--grace", typed)
    assert (told.status, "is not like 24h or 7d" in told.err, fake.asked) == (2, True, [])


def test_rotate_tells_a_script_until_when_the_old_secret_opens(ask: Cli, fake: FakeBox) -> None:
    created = msgspec.structs.replace(CREATED, previous_until=2e9)
    fake.says("POST /api/v1/keys/guest/rotate", created)
    shown = ask("keys", "rotate", "guest", "--grace", "24h", "--json")
    assert shown.json["previous_until"] == 2e9


# --- list ---------------------------------------------------------------------


def test_revoked_keys_are_listed_when_they_are_asked_for(ask: Cli, fake: FakeBox) -> None:
    views = [
        a_key_view(name="there"),
        a_key_view(name="gone", id="key-2", revoked_at=20.0),
        a_key_view(name="past", id="key-3", revoked_at=30.0),
    ]
    fake.says("GET /api/v1/keys", views)
    shown = ask("keys", "list")
    assert [line.split()[0] for line in shown.out.splitlines()] == ["NAME", "there"]
    assert shown.err == "not shown: 2 revoked keys; hydra-box keys list --all shows them, too\n"
    everything = ask("keys", "list", "--all")
    names = [line.split()[0] for line in everything.out.splitlines()]
    assert (names, everything.err) == (["NAME", "there", "gone", "past"], "")
    assert ask("keys", "list", "--json").json == {"keys": plain(views)}
    assert ask("keys").err == shown.err


# --- names in paths -----------------------------------------------------------


@pytest.mark.parametrize("name", ["a/b", ".", ".."])
def test_a_name_that_is_no_part_of_a_path_is_asked_for_by_its_id(
    ask: Cli, fake: FakeBox, name: str
) -> None:
    views = [
        a_key_view(name=name, id="key-2", revoked_at=20.0, created_at=30.0),
        a_key_view(name=name, id="key-1", created_at=10.0),
    ]
    fake.says("GET /api/v1/keys", views)
    fake.says("GET /api/v1/keys/key-1", views[1])
    assert ask("keys", "show", name, "--json").json["id"] == "key-1"
    unknown = ask("keys", "show", f"{name}/")
    assert (unknown.status, "there is no key" in unknown.err) == (4, True)


# --- shown --------------------------------------------------------------------


def test_terms_are_listed_where_they_are_set_within_the_terminals_width() -> None:
    at = time.time() + 3600
    limits = KeyLimits(requests_per_minute=60, tokens_per_minute=100_000, concurrent_requests=1)
    globs = ("public/*", f"{USER}/qwen*", f"{USER}/mistral-7b-instruct", "public/llama-3.1-8b")
    views = (
        a_key_view(name="plain"),
        a_key_view(
            owner_name="mary",
            expires_at=at,
            models=globs,
            denied_models=("*/big",),
            limits=limits,
            quota=TokenQuota(tokens=5000, period=QuotaPeriod.WEEK),
            quota_used_tokens=1234,
            previous_until=at,
        ),
        a_key_view(name="old", expires_at=time.time() - 1),
        a_key_view(name="off", expires_at=time.time() - 1, disabled_at=time.time()),
        a_key_view(name="hers", owner_disabled_at=time.time()),
        a_key_view(name="gone", disabled_at=time.time() - 1, revoked_at=time.time()),
    )
    lines = click.unstyle(render_keys.keys(views)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        *("NAME", "plain", "guest", "old", "off", "hers", "gone")
    ]
    assert lines[3].startswith(f"  of mary; until {moment(at)}; models public/*, {USER}/qwen*,")
    told = " ".join(line.strip() for line in lines[3:8] if line.startswith(" "))
    assert "; not */big; 60 requests a minute; 100,000 tokens a minute; 1 request at once" in told
    assert told.endswith(f"; 5,000 tokens a week (1,234 used); its old secret until {moment(at)}")
    states = [line.split()[-1] for line in lines if not line.startswith(" ")]
    assert states == ["STATE", "valid", "valid", "expired", "disabled", "disabled", "ago"]


def test_a_key_is_shown_with_all_its_facts(ask: Cli, fake: FakeBox) -> None:
    view = a_key_view(
        created_by="boss",
        denied_models=("*/big",),
        quota=TokenQuota(tokens=5000),
        quota_used_tokens=10,
        previous_until=2e9,
    )
    fake.says("GET /api/v1/keys/guest", view)
    lines = ask("keys", "show", "guest").out.splitlines()
    facts = dict(line.split(maxsplit=1) for line in lines)
    assert facts["owner"] == f"local ({USER})"
    assert facts["created"] == f"{moment(view.created_at)} by boss"
    assert (facts["models"], facts["denied"], facts["expires"]) == ("all", "*/big", "never")
    assert facts["quota"] == "5,000 tokens in all (10 used)"
    assert lines[-1] == f"old secret  opens until {moment(2e9)}"
    assert ask("keys", "show", "guest", "--json").json == plain(view)
