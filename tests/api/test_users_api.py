"""Users, and changes of keys, over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from hydra_box.client import Client
from hydra_box.errors import Conflict, InvalidRequest, NotFound
from hydra_box.messages import CreateKeyRequest, EditKeyRequest, EditUserRequest
from hydra_box.types import KeyLimits, Scope, TokenQuota
from tests.api.live import LiveBox
from tests.waiting import eventually


@pytest.fixture
def name() -> str:
    """Of a user or a key that nobody else makes."""
    return f"test-{uuid.uuid4().hex[:8]}"


def models(live: LiveBox, key: str) -> httpx.Response:
    """What the endpoint says to a key."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{live.url}/v1/models", headers=headers, trust_env=False, timeout=30)


def message(answer: httpx.Response) -> Any:
    return answer.json()["error"]["message"]


# --- users --------------------------------------------------------------------


def test_the_life_of_a_user(client: Client, name: str) -> None:
    local = client.users()[0]
    assert (local.name, local.id) == ("local", client.status().user_id)
    made = client.create_user(f"{name}/a")
    assert made in client.users()
    with pytest.raises(Conflict):
        client.create_user(f"{name}/a")
    assert client.edit_user(f"{name}/a", EditUserRequest(name=name)).id == made.id
    client.create_key(CreateKeyRequest(name=name, user=name))
    assert client.user(made.id).keys == 1
    assert client.delete_user(name).keys == 1
    with pytest.raises(NotFound):
        client.user(name)
    with pytest.raises(NotFound):
        client.key(name)


def test_the_answers_about_users(admin: httpx.Client, name: str) -> None:
    made = admin.post("/api/v1/users", json={"name": name})
    assert made.status_code == 201
    path = f"/api/v1/users/{name}"
    assert admin.get(path).json() == made.json()
    assert admin.patch(path, json={"disabled": True}).json()["disabled_at"] is not None
    assert admin.patch(path, json={}).json()["disabled_at"] is not None
    wrong = admin.patch(path, json={"disabled": None})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "disabled")
    assert admin.delete(path).status_code == 200
    assert admin.delete(path).status_code == 404
    owner = admin.delete("/api/v1/users/local")
    assert (owner.status_code, "this box's owner" in message(owner)) == (409, True)


def test_users_are_told_of(live: LiveBox, client: Client, name: str) -> None:
    client.create_user(name)
    client.edit_user(name, EditUserRequest(disabled=True))
    client.delete_user(name)

    def kinds() -> list[str]:
        found = live.run(live.box.store.recent_events())
        return [one.kind for one in found if f"'{name}'" in one.message]

    wanted = ["user.created", "user.changed", "user.deleted"]
    eventually(lambda: kinds() == wanted, what="all three are stored")


def test_a_disabled_user_opens_nothing(live: LiveBox, client: Client, name: str) -> None:
    client.create_user(name)
    key = client.create_key(CreateKeyRequest(name=name, user=name)).key
    assert models(live, key).status_code == 200
    client.edit_user(name, EditUserRequest(disabled=True))
    refused = models(live, key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert message(refused) == f"the user {name!r} is disabled, and with it the API key {name!r}"
    client.edit_user(name, EditUserRequest(disabled=False))
    assert models(live, key).status_code == 200
    client.delete_user(name)
    assert message(models(live, key)) == "the API key is not one of this box"


# --- keys ---------------------------------------------------------------------


def test_a_key_knows_whose_it_is_and_which_key_made_it(
    client: Client, admin: httpx.Client, name: str
) -> None:
    user = client.create_user(name)
    made = admin.post("/api/v1/keys", json={"name": name, "user": name}).json()
    assert made["owner_id"] == user.id
    view = client.key(name)
    assert (view.owner_id, view.owner_name, view.created_by) == (user.id, name, "admin")
    mine = client.create_key(CreateKeyRequest(name=f"{name}-2"))
    assert (mine.owner_id, client.key(mine.id).created_by) == (client.users()[0].id, "")
    unknown = admin.post("/api/v1/keys", json={"name": "x", "user": f"{name}x"})
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "user")
    assert name in unknown.json()["hint"]
    client.revoke_key(mine.id)
    client.delete_user(name)


def test_an_edit_over_http(client: Client, admin: httpx.Client, name: str) -> None:
    limits = KeyLimits(requests_per_minute=5, tokens_per_minute=9)
    quota = TokenQuota(tokens=100)
    client.create_key(CreateKeyRequest(name=name, limits=limits, quota=quota, models=("a",)))
    path = f"/api/v1/keys/{name}"
    assert admin.patch(path, json={}).json() == admin.get(path).json()
    edited = admin.patch(path, json={"quota": None, "requests_per_minute": None, "models": []})
    assert edited.status_code == 200
    view = client.key(name)
    assert (view.quota, view.limits, view.models) == (None, KeyLimits(tokens_per_minute=9), ())
    for wrong, param in (
        ({"name": None}, "name"),
        ({"nmae": "x"}, "nmae"),
        ({"models": [""]}, "models"),
        ({"quota": {"tokens": 0}}, "quota.tokens"),
        ({"quota": {"tokens": 1, "period": "year"}}, "quota.period"),
        ({"disabled": 1}, "disabled"),
    ):
        refused = admin.patch(path, json=wrong)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert client.key(name) == view
    client.revoke_key(name)
    gone = admin.patch(path, json={"disabled": False})
    assert (gone.status_code, "is revoked" in message(gone)) == (409, True)


def test_a_key_is_disabled_and_enabled(live: LiveBox, client: Client, name: str) -> None:
    key = client.create_key(CreateKeyRequest(name=name)).key
    assert client.edit_key(name, EditKeyRequest(disabled=True)).disabled_at is not None
    refused = models(live, key)
    assert (refused.status_code, message(refused)) == (401, f"the API key {name!r} is disabled")
    client.edit_key(name, EditKeyRequest(disabled=False))
    assert models(live, key).status_code == 200
    client.revoke_key(name)


def test_a_rotation_over_http(
    live: LiveBox, client: Client, admin: httpx.Client, name: str
) -> None:
    first = client.create_key(CreateKeyRequest(name=name)).key
    second = client.rotate_key(name, grace_seconds=3600)
    assert second.id == client.key(name).id
    assert [models(live, key).status_code for key in (first, second.key)] == [200, 200]
    assert client.key(name).previous_until is not None
    third = client.rotate_key(name).key
    assert [models(live, key).status_code for key in (first, second.key, third)] == [401, 401, 200]
    assert f"the API key {name!r} was rotated" in message(models(live, second.key))
    with pytest.raises(InvalidRequest, match="grace_seconds is -1"):
        client.rotate_key(name, grace_seconds=-1)
    none = admin.post(f"/api/v1/keys/{name}/rotate", json={})
    assert (none.status_code, none.json()["key"][:3]) == (200, "hb-")
    client.revoke_key(name)


def test_an_admin_key_that_loses_its_scope_manages_no_more(
    live: LiveBox, client: Client, tcp: httpx.Client, name: str
) -> None:
    headers = {"Authorization": f"Bearer {live.key(name, Scope.ADMIN)}"}
    assert tcp.get("/api/v1/users", headers=headers).status_code == 200
    client.edit_key(name, EditKeyRequest(scopes=(Scope.INFERENCE,)))
    assert tcp.get("/api/v1/users", headers=headers).status_code == 403
    client.revoke_key(name)
