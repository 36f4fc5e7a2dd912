"""Users: what is asked of the box for them, and how they are shown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hydra_box.errors import Conflict
from hydra_box.messages import UserView
from tests.cli.conftest import Cli
from tests.cli.fake_box import USER, FakeBox
from tests.cli.test_cli_keys import a_key_view

MARY = "/api/v1/users/mary"


def a_user_view(**changes: Any) -> UserView:
    values: dict[str, Any] = {
        "id": USER,
        "name": "mary",
        "created_at": 10.0,
        "disabled_at": None,
        "keys": 2,
        "services": 1,
    }
    return UserView(**values | changes)


def plain(value: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_users_are_listed(ask: Cli, fake: FakeBox) -> None:
    views = [a_user_view(name="local", id="u-1"), a_user_view(disabled_at=20.0)]
    fake.says("GET /api/v1/users", views)
    for words in (("users",), ("users", "list")):
        head, local, mary = ask(*words).out.splitlines()
        assert head.split() == ["NAME", "ID", "CREATED", "KEYS", "SERVICES", "STATE"]
        assert (local.split()[0], local.split()[-1]) == ("local", "valid")
        assert f"mary   {USER}" in mary
        assert "disabled" in mary
        assert ask(*words, "--json").json == {"users": plain(views)}


def test_a_user_is_made_and_shown_with_its_keys(ask: Cli, fake: FakeBox) -> None:
    view = a_user_view()
    fake.says("POST /api/v1/users", view)
    fake.says(f"GET {MARY}", view)
    fake.says("GET /api/v1/keys", [a_key_view(), a_key_view(name="other", owner_id="u-2")])
    assert ask("users", "create", "mary", "--json").json == plain(view)
    assert fake.bodies("POST /api/v1/users") == [{"name": "mary"}]
    shown = ask("users", "show", "mary").out
    assert "guest" in shown
    assert "other" not in shown
    assert ask("users", "show", "mary", "--json").json == plain(view)


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("rename", "mary", "mary-smith"), {"name": "mary-smith"}),
        (("disable", "mary"), {"disabled": True}),
        (("enable", "mary"), {"disabled": False}),
    ],
)
def test_a_user_is_changed(
    ask: Cli, fake: FakeBox, words: tuple[str, ...], body: dict[str, object]
) -> None:
    fake.says(f"PATCH {MARY}", a_user_view())
    assert "mary" in ask("users", *words).out
    assert ask("users", *words, "--json").json == plain(a_user_view())
    assert fake.bodies(f"PATCH {MARY}") == [body] * 2


def test_deleting_takes_the_name_once_more(ask: Cli, fake: FakeBox) -> None:
    fake.says(f"GET {MARY}", a_user_view())
    fake.says(f"DELETE /api/v1/users/{USER}", a_user_view())
    unasked = ask("users", "delete", "mary")
    assert (unasked.status, "needs its name once more" in unasked.err) == (2, True)
    wrong = ask("users", "delete", "mary", "--confirm", "marry")
    assert (wrong.status, "'marry' is not the name of the user" in wrong.err) == (2, True)
    assert [asked for asked, _, _ in fake.asked] == [f"GET {MARY}"] * 2
    done = ask("users", "delete", "mary", "--confirm", "mary")
    assert (done.status, done.out) == (0, "")
    assert "the user mary and its 2 keys are deleted" in done.err
    assert ask("users", "delete", "mary", "--confirm", "mary", "--json").json["id"] == USER


def test_what_the_box_refuses_is_told_and_typed(ask: Cli, fake: FakeBox) -> None:
    fake.says(f"PATCH {MARY}", Conflict("the user name 'x' is taken", hint="choose another name"))
    told = ask("users", "rename", "mary", "x")
    assert (told.status, told.out) == (5, "")
    assert told.err == "error: the user name 'x' is taken\nhint: choose another name\n"


def test_a_name_with_a_slash_is_asked_for_by_its_id(ask: Cli, fake: FakeBox) -> None:
    fake.says("GET /api/v1/users", [a_user_view(name="a/b")])
    fake.says(f"PATCH /api/v1/users/{USER}", a_user_view(name="a/b", disabled_at=1.0))
    assert ask("users", "disable", "a/b", "--json").json["disabled_at"] == 1.0
    unknown = ask("users", "disable", "a/c")
    assert (unknown.status, "did you mean a/b?" in unknown.err) == (4, True)
