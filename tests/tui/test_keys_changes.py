"""Keys that there are, and the users whose they are: changed by keyboard alone."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from textual.widgets import Input

from hydra_box.errors import NotFound
from hydra_box.messages import CreateKeyRequest, KeyView, UserView
from hydra_box.types import KeyLimits, QuotaPeriod, TokenQuota
from tests.conftest import DemoBox, StartBox
from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL, Driven, console
from tests.tui.test_keys import ask, connect_to, find, open_keys
from tui.screens.keys import KeysScreen
from tui.screens.keys_edit import EditKeyDialog
from tui.screens.keys_rotate import RotateDialog
from tui.widgets.keys_table import KeysTable
from tui.widgets.usage_table import UsageTable, row_key

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE])


@pytest.fixture
def key(box: DemoBox) -> Iterator[KeyView]:
    """A key of this test, with some of all; revoked at its end."""
    client = box.running.client
    created = client.create_key(
        CreateKeyRequest(
            name=f"app-{secrets.token_hex(3)}",
            models=("*/demo",),
            limits=KeyLimits(requests_per_minute=60, tokens_per_minute=12_000),
            quota=TokenQuota(tokens=5000, period=QuotaPeriod.DAY),
        )
    )
    yield client.key(created.id)
    client.revoke_key(created.id)


async def select(it: Driven, key: KeyView) -> None:
    """The keys, with the cursor on one."""
    await open_keys(it)
    await it.sees(key.name)
    it.screen.query_one(KeysTable).move_to(key.id)
    await it.sees(key.id)


async def retype(it: Driven, field: str, text: str) -> None:
    """Have a field of the form say something else."""
    it.screen.query_one(f"#{field}", Input).focus()
    await it.press("end", "ctrl+u")
    await it.type(text)


@BOTH
async def test_a_key_is_edited_and_what_stays_is_as_it_was(
    open_console: OpenConsole, box: DemoBox, key: KeyView, size: tuple[int, int]
) -> None:
    async with open_console(size=size) as it:
        await select(it, key)
        await it.press("e")
        await it.sees(f"Edit {key.name}", "*/demo", "Save", "it never ends")
        for field, typed in (
            ("models", "*/demo"),
            ("tokens_per_minute", "12,000"),
            ("concurrent_requests", ""),
            ("quota", "5,000/day"),
        ):
            assert it.screen.query_one(f"#{field}", Input).value == typed
        await retype(it, "denied", "public/*")
        await retype(it, "requests_per_minute", "")
        await retype(it, "expires", "7d")
        await retype(it, "quota", "9,000/week")
        await it.press("enter")
        await it.until(lambda: isinstance(it.screen, KeysScreen), what="saved and left")
        await it.sees("in 7 d", "9,000 tokens a week")
    after = box.running.client.key(key.id)
    assert after.denied_models == ("public/*",)
    assert after.limits == KeyLimits(tokens_per_minute=12_000)
    assert after.quota == TokenQuota(tokens=9000, period=QuotaPeriod.WEEK)
    assert after.expires_at is not None
    assert (after.name, after.scopes, after.models) == (key.name, key.scopes, key.models)


async def test_what_is_wrong_with_an_edit_is_told_and_escape_leaves_the_key_alone(
    open_console: OpenConsole, box: DemoBox, key: KeyView
) -> None:
    async with open_console() as it:
        await select(it, key)
        await it.press("e")
        await it.sees(f"Edit {key.name}")
        await retype(it, "name", "tests")
        await it.sees("✗ a key 'tests' is there already")
        await it.press("enter")
        assert isinstance(it.screen, EditKeyDialog)
        await retype(it, "name", key.name)
        await it.until(lambda: "already" not in it.text, what="its own name is free")
        await retype(it, "quota", "7")
        await it.press("escape")
        await it.until(lambda: isinstance(it.screen, KeysScreen), what="left")
        await it.press("e", "enter")
        await it.until(lambda: isinstance(it.screen, KeysScreen), what="left unchanged")
    assert box.running.client.key(key.id) == key


async def test_space_disables_a_key_and_enables_it(
    open_console: OpenConsole, box: DemoBox, key: KeyView
) -> None:
    secret = box.running.client.rotate_key(key.id).key
    assert ask(box, secret).status_code == HTTPStatus.OK
    async with open_console() as it:
        await select(it, key)
        await it.press("space")
        await it.sees("○ disabled")
        await it.until(lambda: find(box, key.name).disabled_at, what="it is disabled")
        assert ask(box, secret).status_code == HTTPStatus.UNAUTHORIZED
        it.screen.query_one(KeysTable).move_to(key.id)
        await it.sees(key.id)
        await it.press("space")
        await it.until(lambda: not find(box, key.name).disabled_at, what="it is enabled")
        assert ask(box, secret).status_code == HTTPStatus.OK


async def test_a_key_is_rotated_and_its_old_secret_has_a_grace(
    open_console: OpenConsole, box: DemoBox, key: KeyView
) -> None:
    old = box.running.client.rotate_key(key.id).key
    async with open_console() as it:
        await select(it, key)
        assert "rotated" not in it.text
        await it.press("o")
        await it.sees(f"Rotate {key.name}", "the old secret opens until")
        await it.press("ctrl+u")
        await it.sees("opens nothing any more")
        await it.type("soon")
        await it.sees("✗ 'soon' is no span")
        await it.press("enter")
        assert isinstance(it.screen, RotateDialog)
        await it.press("ctrl+u")
        await it.type("999999w")
        await it.sees("✗ 999999w is too long; use at most 90 days")
        await it.press("ctrl+u")
        await it.type("2h")
        await it.press("enter")
        text = await it.sees(f"The key {key.name} has a new secret", "not shown again")
        await it.press("c")
        new = it.console.clipboard
        assert new in text
        await it.press("escape")
        await it.sees("rotated   its old secret opens until", "in 2 h")
    assert new != old
    for secret in (old, new):
        assert ask(box, secret).status_code == HTTPStatus.OK


async def test_what_was_revoked_is_not_changed(open_console: OpenConsole, box: DemoBox) -> None:
    created = box.running.client.create_key(CreateKeyRequest(name="gone"))
    gone = box.running.client.revoke_key(created.id)
    async with open_console() as it:
        await open_keys(it)
        await it.press("v")
        await it.sees("v hides")
        it.screen.query_one(KeysTable).move_to(gone.id)
        await it.sees(gone.id)
        await it.press("e", "o", "space")
        await it.hears("revoked before", times=3)
        assert isinstance(it.screen, KeysScreen)
    assert box.running.client.key(gone.id) == gone


@BOTH
async def test_users_are_made_disabled_and_given_keys(
    start_box: StartBox, tmp_path: Path, size: tuple[int, int]
) -> None:
    running = start_box()
    client = running.client

    def mary() -> UserView:
        return client.user("mary")

    async with console(connect_to(running), tmp_path, size=size) as it:
        await it.press("3")
        await it.sees("No keys yet")
        await it.press("U")
        await it.sees("1 user", "local", "SERVICES")
        await it.press("n")
        await it.sees("New user")
        await it.type("local")
        await it.press("enter")
        await it.sees("✗ the user name 'local' is taken")
        await it.press("ctrl+u")
        await it.type("mary")
        await it.press("enter")
        await it.sees("2 users", "owns 0 keys and 0 services", mary().id)
        await it.press("space")
        await it.sees("2 users, 1 disabled", "none of its keys opens anything")
        assert mary().disabled_at is not None
        await it.press("space")
        await it.until(lambda: mary().disabled_at is None, what="it is enabled")
        await it.press("g", "space")
        await it.hears("box's owner")
        await it.press("escape")
        await it.sees("No keys yet")
        await it.press("n")
        await it.type("hers")
        it.screen.query_one("#user", Input).focus()
        await it.type("marry")
        await it.press("enter")
        await it.sees("✗ there is no user 'marry'", "the nearest: mary")
        await it.press("backspace", "backspace", "backspace")
        await it.type("ry")
        await it.press("enter")
        await it.sees("The key hers is made")
        await it.press("escape")
        await it.sees("may call models, for mary")
        await it.press("U")
        await it.sees("2 users")
        await it.press("j")
        await it.sees("owns 1 key and 0 services")
        client.delete_user("mary")
        await it.sees("1 user", "local")
    with pytest.raises(NotFound):
        mary()


async def test_from_a_user_to_what_it_used(open_console: OpenConsole, box: DemoBox) -> None:
    ask(box, box.key)
    local = box.service.owner_id
    async with open_console() as it:
        await open_keys(it)
        await it.press("U")
        await it.sees("local", local)
        await it.press("u")
        await it.sees("● user")
        table = it.screen.query_one(UsageTable)
        await it.until(lambda: table.current_key == row_key(local), what="its row is selected")
