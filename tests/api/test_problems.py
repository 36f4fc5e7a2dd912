from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest
from litestar import Litestar, get
from litestar.exceptions import NotAuthorizedException
from litestar.testing import TestClient

from api.problems import EXCEPTION_HANDLERS
from hydra_box.errors import StateError, Unavailable


def test_what_is_not_there_is_404(admin: httpx.Client) -> None:
    answer = admin.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "message": "nothing is at /api/v1/nothing",
            "type": "invalid_request_error",
            "code": "not_found",
            "param": None,
        },
        "hint": "/api/v1/docs lists what this box answers",
    }


def test_a_method_that_a_path_does_not_take_is_405(admin: httpx.Client) -> None:
    answer = admin.put("/api/v1/status")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "OPTIONS"}
    assert answer.json()["error"]["code"] == "method_not_allowed"
    assert answer.json()["error"]["message"] == "/api/v1/status does not take PUT"


@pytest.mark.parametrize(
    ("method", "path", "message", "param"),
    [
        ("GET", "/services/x/logs?lines=many", "lines: expected int, got str", "lines"),
        ("GET", "/services/x/logs?lines=10001", "lines: expected int <= 10000", "lines"),
        ("GET", "/events?after=-1", "after: expected int >= 0", "after"),
        ("GET", "/services/x/logs?follow=perhaps", "follow: expected bool, got str", "follow"),
        ("DELETE", "/services/x", "Missing required query parameter 'confirm'", None),
        ("POST", "/services", "the request has no body", None),
    ],
)
def test_a_wrong_parameter_is_400_and_named(
    admin: httpx.Client, method: str, path: str, message: str, param: str | None
) -> None:
    answer = admin.request(method, f"/api/v1{path}")
    assert answer.status_code == 400
    assert answer.json()["hint"]
    error = answer.json()["error"]
    assert error["message"].startswith(message)
    assert (error["code"], error["param"]) == ("invalid_request", param)


def test_a_wrong_body_is_400_and_says_where(admin: httpx.Client) -> None:
    answer = admin.post("/api/v1/keys", json={"name": "x", "scopes": ["admin", 3]})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "scopes[1]: expected str, got int",
        "type": "invalid_request_error",
        "code": "invalid_request",
        "param": "scopes[1]",
    }


def test_a_number_is_not_read_from_text(admin: httpx.Client) -> None:
    answer = admin.post("/api/v1/services", json={"model": "demo", "instances": "2"})
    assert answer.json()["error"]["message"] == "instances: expected int, got str"


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit_is_413(admin: httpx.Client, chunked: bool) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 65_536

    content = chunks() if chunked else b" " * 1_048_577
    answer = admin.post("/api/v1/services", content=content)
    assert answer.status_code == 413
    assert answer.json()["error"] == {
        "message": "the body is over the limit of 1,048,576 bytes",
        "type": "invalid_request_error",
        "code": "request_too_large",
        "param": None,
    }


@get("/unexpected")
async def unexpected() -> None:
    raise RuntimeError("the password is hunter2")


@get("/state")
async def state() -> None:
    raise StateError("the disk is full", hint="make room")


@get("/busy")
async def busy() -> None:
    raise Unavailable("full", retry_after_seconds=7)


@get("/login")
async def login() -> None:
    raise NotAuthorizedException("who are you?")


@pytest.fixture
def failing() -> Iterator[TestClient[Litestar]]:
    app = Litestar(
        [unexpected, state, busy, login],
        exception_handlers=EXCEPTION_HANDLERS,
        logging_config=None,
        openapi_config=None,
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_a_fault_of_ours_is_500_without_its_inside_and_is_logged(
    failing: TestClient[Litestar], caplog: pytest.LogCaptureFixture
) -> None:
    answer = failing.get("/unexpected")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": {
            "message": "GET /unexpected failed unexpectedly",
            "type": "server_error",
            "code": "internal_error",
            "param": None,
        },
        "hint": "the daemon's log says why",
    }
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "hunter2" in str(record.exc_info)


def test_what_the_owner_must_know_is_logged_too(
    failing: TestClient[Litestar], caplog: pytest.LogCaptureFixture
) -> None:
    assert failing.get("/state").json()["hint"] == "make room"
    assert "the disk is full" in caplog.text


def test_retry_after_is_told(failing: TestClient[Litestar]) -> None:
    answer = failing.get("/busy")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


def test_litestars_401_has_our_shape(failing: TestClient[Litestar]) -> None:
    answer = failing.get("/login")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
