"""Two users share one box: what each key may call, and what takes that away, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from hydra_box.messages import CreateKeyRequest, DeployRequest, EditKeyRequest, ServiceView
from hydra_box.types import Scope
from tests.conftest import DemoBox
from tests.e2e.commands import run, run_json


@dataclass(frozen=True)
class Shared:
    """A box with the users mary and john, a key of each, and a key of an admin who is neither."""

    box: DemoBox
    public: ServiceView
    marys: ServiceView
    """A Model Service of hers."""
    mary: str
    john: str

    def ask(self, service: ServiceView, key: str) -> httpx.Response:
        """One short chat."""
        body = {
            "model": service.access_name,
            "max_tokens": 2,
            "messages": [{"role": "user", "content": "Hello"}],
        }
        return httpx.post(
            f"{self.box.url}/v1/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
        )

    def status(self, service: ServiceView, key: str) -> int:
        """What such a chat is answered with."""
        return self.ask(service, key).status_code

    def listed(self, key: str) -> set[str]:
        """The models that the key is told of."""
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx.get(f"{self.box.url}/v1/models", headers=headers, trust_env=False)
        return {one["id"] for one in answer.json()["data"]}

    def key(self, name: str, **terms: Any) -> str:
        """A new key's secret."""
        return self.box.running.client.create_key(CreateKeyRequest(name=name, **terms)).key


@pytest.fixture(scope="module")
def shared(box: DemoBox) -> Iterator[Shared]:
    running = box.running
    for name in ("mary", "john"):
        run_json(running, "users", "create", name)
    public = DeployRequest(model="demo", name="for-all", public=True)
    hers = DeployRequest(model="demo", name="marys-own", user="mary")
    yield Shared(
        box=box,
        public=running.deploy(public),
        marys=running.deploy(hers),
        mary=run(running, "keys", "create", "--name", "mary-pc", "--user", "mary").stdout.strip(),
        john=run(running, "keys", "create", "--name", "john-pc", "--user", "john").stdout.strip(),
    )
    for service in ("for-all", "marys-own"):
        assert run(running, "delete", service, "--confirm", service).returncode == 0
    for name in ("mary", "john"):
        assert run(running, "users", "delete", name, "--confirm", name).returncode == 0


def test_everyone_calls_what_is_public_and_only_its_owner_and_admins_the_rest(
    shared: Shared,
) -> None:
    mary_id = run_json(shared.box.running, "users", "show", "mary")["id"]
    assert shared.public.access_name == "public/for-all"
    assert shared.marys.access_name == f"{mary_id}/marys-own"
    public, hers = shared.public.access_name, shared.marys.access_name
    # Others may have services on the shared box, too.
    assert shared.listed(shared.mary) >= {public, hers}
    assert shared.listed(shared.john) & {public, hers} == {public}
    assert [shared.status(shared.public, key) for key in (shared.mary, shared.john)] == [200, 200]
    assert shared.status(shared.marys, shared.mary) == 200
    refused = shared.ask(shared.marys, shared.john)
    assert refused.status_code == HTTPStatus.NOT_FOUND
    assert refused.json()["error"]["code"] == "model_not_found"

    admin = shared.key("john-admin", user="john", scopes=tuple(Scope))
    assert {public, hers, shared.box.service.access_name} <= shared.listed(admin)
    assert shared.status(shared.marys, admin) == 200


def test_a_user_who_owns_a_service_stays(shared: Shared) -> None:
    refused = run(shared.box.running, "users", "delete", "mary", "--confirm", "mary")
    assert refused.returncode == 5
    assert "the user 'mary' owns 1 service" in refused.stderr
    assert shared.status(shared.marys, shared.mary) == 200


def test_what_is_denied_is_neither_called_nor_listed(shared: Shared) -> None:
    key = shared.key("mary-narrow", user="mary", denied_models=("public/*",))
    assert shared.listed(key) == {shared.marys.access_name}
    refused = shared.ask(shared.public, key)
    assert refused.status_code == HTTPStatus.NOT_FOUND
    assert "the key 'mary-narrow' may call has the access name 'public/for-all'" in refused.text
    edited = run_json(shared.box.running, "keys", "edit", "mary-narrow", "--no-deny")
    assert edited["denied_models"] == []
    assert shared.status(shared.public, key) == 200


def test_an_edit_counts_on_the_next_request(shared: Shared) -> None:
    key = shared.key("john-edited", user="john")
    assert shared.status(shared.public, key) == 200
    client = shared.box.running.client
    client.edit_key("john-edited", EditKeyRequest(models=("nothing/*",)))
    assert shared.status(shared.public, key) == 404
    client.edit_key("john-edited", EditKeyRequest(models=(), requests_per_minute=1))
    statuses = {shared.status(shared.public, key) for _ in range(3)}
    assert 429 in statuses
    client.edit_key("john-edited", EditKeyRequest(requests_per_minute=None))
    assert shared.status(shared.public, key) == 200


def test_a_rotated_keys_old_secret_opens_for_its_grace(shared: Shared) -> None:
    running = shared.box.running
    old = shared.key("john-rotated", user="john")
    shown = run(running, "keys", "rotate", "john-rotated", "--grace", "24h")
    new = shown.stdout.strip()
    assert shown.returncode == 0
    assert "the old one opens for 1 d 0 h more" in shown.stderr
    assert [shared.status(shared.public, key) for key in (old, new)] == [200, 200]
    newest = run(running, "keys", "rotate", "john-rotated").stdout.strip()
    assert [shared.status(shared.public, key) for key in (old, new, newest)] == [401, 401, 200]
    assert "was rotated" in shared.ask(shared.public, new).text


def test_a_key_and_its_user_are_disabled_and_enabled_at_once(shared: Shared) -> None:
    running = shared.box.running
    key = shared.key("john-off", user="john")
    assert run(running, "keys", "disable", "john-off").returncode == 0
    assert "the API key 'john-off' is disabled" in shared.ask(shared.public, key).text
    assert run(running, "keys", "enable", "john-off").returncode == 0
    assert shared.status(shared.public, key) == 200

    assert run_json(running, "users", "disable", "john")["disabled_at"] is not None
    assert [shared.status(shared.public, one) for one in (key, shared.john)] == [401, 401]
    assert shared.status(shared.public, shared.mary) == 200
    assert run_json(running, "users", "enable", "john")["disabled_at"] is None
    assert shared.status(shared.public, key) == 200


def test_a_quota_is_shown_with_its_use(shared: Shared) -> None:
    running = shared.box.running
    words = ("--name", "mary-quota", "--user", "mary", "--quota", "1000000/week")
    key = run(running, "keys", "create", *words).stdout.strip()
    answer = shared.ask(shared.public, key)
    assert answer.status_code == HTTPStatus.OK
    # Her own Model Service is not metered against it.
    assert shared.status(shared.marys, key) == 200
    used = answer.json()["usage"]["total_tokens"]
    view = run_json(running, "keys", "show", "mary-quota")
    assert view["quota"] == {"tokens": 1_000_000, "period": "week"}
    assert view["quota_used_tokens"] == used
    shown = run(running, "keys", "list").stdout
    assert f"of mary; 1,000,000 tokens a week ({used:,} used)" in shown
