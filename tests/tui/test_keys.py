from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from textual.widgets import Input

from hydra_box.client import Client
from hydra_box.messages import CreateKeyRequest, EditKeyRequest, EditUserRequest, KeyView
from hydra_box.types import KeyLimits, QuotaPeriod, Scope, TokenQuota
from tests.boxes import RunningBox
from tests.conftest import DemoBox, StartBox
from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL, Driven, console
from tui.screens.keys_new import NewKeyDialog
from tui.screens.keys_secret import SecretDialog
from tui.widgets.keys_table import KeysTable

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE])


async def open_keys(it: Driven) -> None:
    await it.sees("demo", "RUNNING")
    await it.press("3")
    await it.sees("valid key", "tests")


def ask(box: DemoBox, key: str) -> httpx.Response:
    return httpx.post(
        f"{box.url}/v1/chat/completions",
        headers={"Authorization": f"Bearer {key}"},
        json={
            "model": box.service.access_name,
            "max_tokens": 4,
            "messages": [{"role": "user", "content": "hi"}],
        },
        timeout=60,
    )


def connect_to(running: RunningBox) -> Callable[[], Client]:
    return lambda: Client(socket=running.paths.management_socket)


def find(box: DemoBox, name: str) -> KeyView:
    keys = box.running.client.keys()
    return next(key for key in keys if key.name == name)


async def click(it: Driven, words: str) -> None:
    """Click on words that are to be seen."""
    text = await it.sees(words)
    row, line = next((at, line) for at, line in enumerate(text.splitlines()) if words in line)
    await it.pilot.click(offset=(line.index(words), row))


@BOTH
async def test_a_key_is_made_used_and_revoked_by_keyboard(
    open_console: OpenConsole, box: DemoBox, size: tuple[int, int]
) -> None:
    name = f"app{size[0]}"
    async with open_console(size=size) as it:
        await open_keys(it)
        await it.press("n")
        await it.sees("New key", "Expires", "Models", "Requests/min", "At once", "Create")
        await it.type(name)
        await it.press("tab", "tab", "space", "tab", "down", "down")
        await it.sees("30d", "it ends at")
        await it.press("tab")
        # Others may have services on the shared box, too.
        await it.type("nobody/*,*/demo")
        await it.sees("matches 1 of", box.service.access_name)
        for typed in ("nobody/*", "60", "12,000", "2", "5,000/day"):
            await it.press("tab")
            await it.type(typed)
        await it.sees("5,000 tokens a day, of public services")
        await it.press("enter")

        text = await it.sees(f"The key {name} is made", "not shown again", "c: copy")
        assert f"{box.url}/v1" in text
        assert "Authorization: Bearer" in text
        await it.press("c")
        await it.sees("✓ copied")
        secret = it.console.clipboard
        assert secret in text
        await it.press("escape")

        text = await it.sees(
            *(name, "● valid", "in 30 d", "60 requests/min", "5,000 tokens a day (0 used)"),
            *("denied", "nobody/*: matches none of"),
        )
        assert secret not in text
        made = find(box, name)
        assert made.scopes == (Scope.INFERENCE, Scope.ADMIN)
        assert made.models == ("nobody/*", "*/demo")
        assert made.limits == KeyLimits(
            requests_per_minute=60, tokens_per_minute=12_000, concurrent_requests=2
        )
        assert made.denied_models == ("nobody/*",)
        assert made.quota == TokenQuota(tokens=5000, period=QuotaPeriod.DAY)
        assert made.expires_at is not None
        assert ask(box, secret).status_code == HTTPStatus.OK
        await it.press("r")
        await it.sees("last used just now")

        await it.press("x")
        await it.sees(f"Revoke {name}", "stop working at once")
        await it.press("y")
        await it.until(lambda: find(box, name).revoked_at, what="it is revoked")
        await it.until(lambda: made.masked not in it.text, what="its row is gone")
        assert ask(box, secret).status_code == HTTPStatus.UNAUTHORIZED
        assert "revoked (hidden: v)" in it.text
        await it.press("v")
        await it.sees(made.masked, "✗ revoked", "v hides")


async def test_what_is_wrong_is_told_at_its_field_while_it_is_typed(
    open_console: OpenConsole,
) -> None:
    async with open_console() as it:
        await open_keys(it)
        await it.press("n")
        await it.type("tests")
        await it.sees("✗ a key 'tests' is there already")
        await it.type("2")
        await it.until(lambda: "already" not in it.text, what="the name is free")
        await it.press("tab", "space")
        await it.sees("✗ a key without a scope opens nothing")
        await it.press("space", "tab", "tab", "ctrl+u")
        await it.type("2020-01-31")
        await it.sees("2020-01-31 00:00 is over")
        await it.press("tab")
        await it.type("nobody/*")
        await it.sees("matches none of")
        await it.press("tab", "tab")
        await it.type("12k")
        await it.sees("'12k' is no whole number")
        await it.press("tab", "tab", "tab")
        await it.type("5/year")
        await it.sees("'year' is no period; type 100000, or 100000/day")
        await it.press("enter")
        # Nothing was sent, and the keyboard is in the first field that is wrong.
        assert isinstance(it.screen, NewKeyDialog)
        assert it.screen.focused is it.screen.query_one("#expires")


@BOTH
async def test_a_key_is_made_with_the_mouse(
    open_console: OpenConsole, box: DemoBox, size: tuple[int, int]
) -> None:
    name = f"[b]mouse{size[0]}[/]"
    async with open_console(size=size) as it:
        await open_keys(it)
        await click(it, "New key")
        await it.sees("Expires")
        it.screen.query_one("#name", Input).value = name
        await click(it, "90d")
        await it.sees("in 90 d")
        await click(it, "admin: manage")
        await click(it, "Create")
        await it.sees(f"The key {name} is made", "management")
        await click(it, "Copy")
        await it.sees("✓ copied")
        await click(it, "Close")
        await it.sees(name, "both", "in 90 d")
        assert find(box, name).scopes == (Scope.INFERENCE, Scope.ADMIN)


async def test_a_lost_daemon_costs_nothing_that_was_typed(
    start_box: StartBox, tmp_path: Path
) -> None:
    running = start_box()
    async with console(connect_to(running), tmp_path) as it:
        await it.press("3")
        await it.sees("No keys yet", "n to make one")
        await it.press("n")
        await it.type("kept")
        await it.press("tab", "tab", "tab", "tab")
        await it.type("public/*")
        running.stop()
        await it.press("enter")
        await it.sees("kept", "public/*", "hint:")
        await it.press("escape")
        await it.press("n")
        await it.sees("New key", "kept", "public/*")


async def test_enter_never_closes_the_only_sight_of_a_secret(
    open_console: OpenConsole, box: DemoBox
) -> None:
    async with open_console() as it:
        await open_keys(it)
        await it.press("n")
        await it.type("hasty")
        await it.press("enter")
        await it.sees("The key hasty is made")
        await it.press("enter", "enter", "q", "n")
        assert isinstance(it.screen, SecretDialog)
        assert it.console.clipboard.startswith("hb-")
        await it.press("escape")
        await it.sees("valid key", "hasty")


async def test_the_filter_leaves_the_keys_that_have_the_words(
    open_console: OpenConsole, box: DemoBox
) -> None:
    async with open_console(size=LARGE) as it:
        await open_keys(it)
        await it.press("slash")
        await it.type("admin")
        await it.sees("the filter leaves", "tests-admin")
        rows = {row.value for row in it.screen.query_one(KeysTable).rows}
        assert find(box, "tests-admin").id in rows
        assert find(box, "tests").id not in rows
        await it.press("escape")
        await it.until(lambda: "the filter" not in it.text, what="the filter is dropped")


async def test_what_another_client_does_shows_by_itself(
    start_box: StartBox, tmp_path: Path
) -> None:
    running = start_box()
    ahead = [0.0]
    clock = lambda: time.time() + ahead[0]  # noqa: E731 - so that it can be moved
    async with console(connect_to(running), tmp_path, clock=clock) as it:
        await it.press("3")
        await it.sees("No keys yet")
        expires_at = time.time() + 3600
        running.client.create_key(CreateKeyRequest(name="elsewhere", expires_at=expires_at))
        await it.sees("1 valid key", "elsewhere", "● valid")
        await it.press("n")
        await it.sees("New key")
        running.client.create_key(CreateKeyRequest(name="second"))
        running.client.revoke_key("second")
        await it.press("escape")
        await it.sees("1 valid key, 1 revoked")
        # Nothing happens when a key ends but that the time has come.
        ahead[0] = 4000.0
        await it.sees("0 valid keys, 1 expired, 1 revoked")
        running.client.revoke_key("elsewhere")
        await it.sees("2 revoked")


async def test_disabled_keys_and_users_show_by_themselves(
    start_box: StartBox, tmp_path: Path
) -> None:
    running = start_box()
    client = running.client
    async with console(connect_to(running), tmp_path) as it:
        await it.press("3")
        await it.sees("No keys yet")
        client.create_user("mary")
        client.create_key(CreateKeyRequest(name="hers", user="mary"))
        await it.sees("1 valid key", "may call models, for mary")
        client.edit_key("hers", EditKeyRequest(disabled=True))
        await it.sees("0 valid keys, 1 disabled", "○ disabled", "disabled  2")
        client.edit_key("hers", EditKeyRequest(disabled=False))
        await it.sees("1 valid key", "● valid")
        client.edit_user("mary", EditUserRequest(disabled=True))
        await it.sees("0 valid keys, 1 disabled", "disabled  its user since")
        client.rotate_key("hers", grace_seconds=3600)
        await it.sees("rotated   its old secret opens until")
        client.delete_user("mary")
        await it.sees("No keys yet")
