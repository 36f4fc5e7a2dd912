"""``hydra-box upstreams``, and services of upstreams: what is asked, and how it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hydra_box.cli import waiting
from hydra_box.cli.upstream_options import KEY_VARIABLE
from hydra_box.messages import UpstreamView
from hydra_box.types import EngineName, ServiceStatus
from tests.cli.conftest import Cli
from tests.cli.fake_box import FakeBox, a_service_view
from tests.cli.test_cli_verbs import plain

URL = "https://api.example.com/v1"
UPSTREAMS = "/api/v1/services/r1/upstreams"


def a_view(**changes: Any) -> UpstreamView:
    values: dict[str, Any] = {
        "id": "up-0123456789ab",
        "base_url": URL,
        "model": "deepseek-reasoner",
        "weight": 1.5,
        "most_requests": 64,
        "allows_private": False,
        "has_key": True,
        "healthy": True,
        "checked_at": None,
        "reason": None,
        "requests_in_flight": 2,
        "created_at": 10.0,
    }
    return UpstreamView(**values | changes)


def body(**changes: Any) -> dict[str, Any]:
    values = {
        "base_url": URL,
        "model": "there",
        "api_key": None,
        "weight": 1.0,
        "most_requests": 64,
        "allow_private": False,
    }
    return values | changes


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text("sk-secret\n")
    return str(path)


def test_deploy_with_an_upstream(ask: Cli, fake: FakeBox, key_file: str) -> None:
    view = a_service_view(
        "r1",
        status=ServiceStatus.DEPLOYING,
        engine=EngineName.UPSTREAM,
        quantization=None,
        context_length=0,
        slots=0,
        desired_instances=0,
        ready_instances=0,
        instances=(),
        upstreams=(a_view(), a_view(id="up-2", healthy=False)),
    )
    fake.says("POST /api/v1/services", view)
    where = ("--public", "--upstream", URL, "--upstream-model", "there")
    shown = ask("deploy", "r1", *where, "--upstream-key-file", key_file, "--allow-private")
    assert shown.status == 0
    assert "r1    DEPLOYING    1/2  demo   upstream  -            -      -" in shown.out
    (sent,) = fake.bodies("POST /api/v1/services")
    assert sent["model"] == "r1"
    assert sent["upstreams"] == [body(api_key="sk-secret", allow_private=True)]
    assert "sk-secret" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--upstream", URL), "--upstream-model"),
        (("--upstream-model", "m"), "--upstream URL"),
        (("--upstream-key-file", "k"), "--upstream URL"),
        (("--upstream-weight", "2"), "--upstream URL"),
        (("--upstream-most-requests", "8"), "--upstream URL"),
        (("--allow-private",), "--upstream URL"),
        (("--upstream-weight", "nan"), "'nan' is not a number"),
    ],
)
def test_half_an_upstream(ask: Cli, words: tuple[str, ...], told: str) -> None:
    shown = ask("deploy", "r1", "--public", *words)
    assert shown.status == 2
    assert told in shown.err


def test_add(
    ask: Cli, fake: FakeBox, key_file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake.says(f"POST {UPSTREAMS}", a_view())
    words = ("upstreams", "add", "r1", URL, "--model", "there")
    shown = ask(*words, "--key-file", key_file, "--weight", "2", "--most-requests", "8")
    assert "r1       up-0123456789ab  healthy  https://api.example.com/v1" in shown.out
    monkeypatch.setenv(KEY_VARIABLE, "sk-of-the-environment")
    assert ask(*words, "--json").json == plain(a_view())
    assert ask(*words, "--key-file", "-", input="sk-typed\n").status == 0
    assert fake.bodies(f"POST {UPSTREAMS}") == [
        body(api_key="sk-secret", weight=2.0, most_requests=8),
        body(api_key="sk-of-the-environment"),
        body(api_key="sk-typed"),
    ]
    missing = ask(*words, "--key-file", str(tmp_path / "none"))
    assert (missing.status, "No such file" in missing.err) == (2, True)
    assert ask(*words, "--key-file", "-", input=" \n").status == 2
    assert ask("upstreams", "add", "r1", URL).status == 2


def test_list_and_check(ask: Cli, fake: FakeBox) -> None:
    down = a_view(id="up-2", healthy=False, reason="it is down; hint: look", has_key=False)
    fake.says(f"GET {UPSTREAMS}", [a_view(), down, a_view(id="up-3", healthy=False)])
    shown = ask("upstreams", "list", "r1").out.splitlines()
    assert shown[0].split() == [
        *("SERVICE", "UPSTREAM", "HEALTH", "URL", "MODEL", "KEY"),
        *("WEIGHT", "REQUESTS", "CHECKED"),
    ]
    assert shown[1].split() == [
        *("r1", "up-0123456789ab", "healthy", URL, "deepseek-reasoner", "yes"),
        *("1.5", "2/64", "never"),
    ]
    assert "not healthy" in shown[2]
    assert shown[3] == "  it is down; hint: look"
    assert "unchecked" in shown[4]
    fake.says(f"POST {UPSTREAMS}/up-0123456789ab/check", a_view())
    of_r1 = {"service": "r1", **plain(a_view())}
    fake.says(f"GET {UPSTREAMS}", [a_view()])
    assert ask("upstreams", "check", "r1", "--json").json == {"upstreams": [of_r1]}
    assert "healthy" in ask("upstreams", "check", "r1").out
    services = [a_service_view("r1", upstreams=(a_view(),)), a_service_view("none")]
    fake.says("GET /api/v1/services", services)
    assert ask("upstreams").out.splitlines()[1].startswith("r1 ")
    assert ask("upstreams", "list", "--json").json == {"upstreams": [of_r1]}
    fake.says("GET /api/v1/services", [])
    assert "no upstreams; hydra-box upstreams add" in ask("upstreams").out


def test_waiting_counts_upstreams_where_nothing_else_serves(
    ask: Cli, fake: FakeBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.0)
    none: dict[str, Any] = {"desired_instances": 0, "ready_instances": 0, "instances": ()}
    r1 = a_service_view("r1", engine=EngineName.UPSTREAM, upstreams=(a_view(),), **none)
    bad = a_service_view(
        "r1",
        status=ServiceStatus.FAILED,
        reason="it refuses the key; hint: edit it",
        engine=EngineName.UPSTREAM,
        upstreams=(a_view(healthy=False),),
        **none,
    )
    fake.says("POST /api/v1/services", r1)
    fake.says("GET /api/v1/services/r1", r1, bad)
    assert "r1 is RUNNING: 1 of 1 ready" in ask("deploy", "r1", "--wait").err
    failed = ask("deploy", "r1", "--wait")
    assert failed.status == 7
    assert "the service r1 FAILED, 0 of 1 ready: it refuses the key" in failed.err
    assert "edit it; hydra-box upstreams list r1 shows them all" in failed.err


def test_edit_and_remove(ask: Cli, fake: FakeBox, key_file: str) -> None:
    one = f"{UPSTREAMS}/up-1"
    fake.says(f"PATCH {one}", a_view(id="up-1"))
    words = ("upstreams", "edit", "r1", "up-1")
    assert "up-1" in ask(*words, "--weight", "2").out
    assert ask(*words, "--key-file", key_file, "--model", "m", "--most-requests", "3").status == 0
    assert ask(*words, "--no-key", "--json").json == plain(a_view(id="up-1"))
    assert fake.bodies(f"PATCH {one}") == [
        {"weight": 2.0},
        {"model": "m", "api_key": "sk-secret", "most_requests": 3},
        {"api_key": None},
    ]
    assert ask(*words).status == 2
    assert ask(*words, "--no-key", "--key-file", key_file).status == 2
    fake.says(f"DELETE {one}", a_view(id="up-1"))
    assert "up-1 is removed" in ask("upstreams", "remove", "r1", "up-1").err
    assert ask("upstreams", "remove", "r1", "up-1", "--json").json == plain(a_view(id="up-1"))


def test_a_service_with_both(ask: Cli, fake: FakeBox) -> None:
    view = a_service_view("r1", upstreams=(a_view(),), asleep=True)
    fake.says("POST /api/v1/services/r1/start", view)
    out = ask("start", "r1").out
    assert "RUNNING (asleep)  1/1 + 1/1" in out
