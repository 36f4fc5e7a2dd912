from __future__ import annotations

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler

from api.app import create_app
from api.security import ACCESS, Access
from hydra_box.client import Client
from hydra_box.types import Scope
from tests.api.live import LiveBox

OPEN = ("/healthz", "/readyz", "/api/v1/openapi.json", "/api/v1/docs")


def test_the_unix_socket_needs_no_key(client: Client) -> None:
    assert client.keys() is not None


def test_every_route_needs_an_admin_key_unless_it_is_named_here(
    live: LiveBox, tcp: httpx.Client
) -> None:
    asked = 0
    for route in create_app(live.box).routes:
        if route.path in OPEN:
            continue
        for handler in route.route_handlers if hasattr(route, "route_handlers") else ():
            assert isinstance(handler, HTTPRouteHandler)
            assert handler.opt.get(ACCESS, Access.ADMIN) is Access.ADMIN
            for method in handler.http_methods:
                answer = tcp.request(method, route.path_format.replace("{", "").replace("}", ""))
                assert answer.status_code == 401, (method, route.path)
                asked += 1
    assert asked > 30


@pytest.mark.parametrize("path", OPEN)
def test_what_is_open_needs_no_key(tcp: httpx.Client, path: str) -> None:
    assert tcp.get(path).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        (None, "no API key: the Authorization header is missing"),
        ("Basic YTpi", "the Authorization header is not 'Bearer' and a key"),
        ("Bearer hb-unknown", "the API key is not one of this box"),
    ],
)
def test_without_a_valid_key_it_is_401_in_the_usual_shape(
    tcp: httpx.Client, authorization: str | None, message: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = tcp.get("/api/v1/status", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="hydra-box"'
    assert answer.json()["error"] == {
        "message": message,
        "type": "authentication_error",
        "code": "invalid_api_key",
        "param": None,
    }


def test_an_inference_key_may_not_manage(tcp: httpx.Client, inference_key: str) -> None:
    answer = tcp.get("/api/v1/status", headers={"Authorization": f"Bearer {inference_key}"})
    assert answer.status_code == 403
    assert answer.json() == {
        "error": {
            "message": "the key 'app' has no admin scope",
            "type": "permission_error",
            "code": "permission_denied",
            "param": None,
        },
        "hint": "hydra-box keys create --name NAME --scope admin makes one that has",
    }


def test_an_admin_key_may_manage_until_it_is_revoked(live: LiveBox, tcp: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {live.key('short-lived', Scope.ADMIN)}"}
    assert tcp.get("/api/v1/status", headers=headers).status_code == 200
    revoked = tcp.delete("/api/v1/keys/short-lived", headers=headers)
    assert revoked.status_code == 200
    again = tcp.get("/api/v1/status", headers=headers)
    assert again.status_code == 401
    assert again.json()["error"]["message"] == "the API key 'short-lived' was revoked"


@pytest.mark.parametrize(
    ("host", "status"), [("localhost", 200), ("[::1]:80", 200), ("evil.example", 403)]
)
def test_a_foreign_host_is_refused(admin: httpx.Client, host: str, status: int) -> None:
    answer = admin.get("/api/v1/status", headers={"Host": host})
    assert answer.status_code == status
    if status == 403:
        message = "the Host header 'evil.example' does not name this box"
        assert answer.json()["error"]["message"] == message


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_is_refused(admin: httpx.Client, headers: dict[str, str]) -> None:
    answer = admin.post("/api/v1/services/x/stop", headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_of_the_box_itself_is_not(live: LiveBox, admin: httpx.Client) -> None:
    headers = {"Origin": live.url, "Sec-Fetch-Site": "same-origin"}
    assert admin.get("/api/v1/status", headers=headers).status_code == 200


def test_a_client_cannot_call_itself_trusted(tcp: httpx.Client) -> None:
    headers = {"trusted": "true", "state": "trusted", "X-Forwarded-For": "127.0.0.1"}
    assert tcp.get("/api/v1/status?trusted=true", headers=headers).status_code == 401
