"""Browsers: which pages may call the box, and under which names it answers."""

from __future__ import annotations

from functools import partial

import httpx
import pytest

from hydra_box.types import Scope
from tests.boxes import RunningBox
from tests.conftest import DemoBox, StartBox
from tests.security.raw import SECONDS

PAGE = "https://chat.example"
get = partial(httpx.get, timeout=SECONDS)


@pytest.fixture
def open_box(start_box: StartBox) -> RunningBox:
    return start_box(allowed_origins=f"{PAGE}/,https://other.example", allowed_hosts="llm.example")


def preflight(url: str, origin: str, path: str = "/v1/chat/completions") -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return httpx.options(url + path, headers=headers, timeout=SECONDS)


def cors_headers(response: httpx.Response) -> dict[str, str]:
    return {
        name: value for name, value in response.headers.items() if name.startswith("access-control")
    }


def test_without_a_list_no_answer_has_a_cors_header(box: DemoBox) -> None:
    asked = preflight(box.url, PAGE)
    assert asked.status_code >= 400
    headers = {"Origin": PAGE, "Authorization": f"Bearer {box.key}"}
    listed = get(f"{box.url}/v1/models", headers=headers)
    assert listed.status_code == 200
    assert cors_headers(asked) == cors_headers(listed) == {}


def test_an_allowed_page_is_named_and_no_other(open_box: RunningBox) -> None:
    allowed = preflight(open_box.url, PAGE)
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert allowed.headers["access-control-allow-headers"] == "authorization,content-type"
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert allowed.headers["vary"] == "Origin"
    key = open_box.key("app", Scope.INFERENCE)
    for origin in (PAGE, "https://other.example"):
        headers = {"Origin": origin, "Authorization": f"Bearer {key}"}
        answer = get(f"{open_box.url}/v1/models", headers=headers)
        assert answer.status_code == 200
        assert cors_headers(answer) == {"access-control-allow-origin": origin}
    # A refusal must be readable for the page as well.
    refused = get(f"{open_box.url}/v1/models", headers={"Origin": PAGE})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == PAGE
    for stranger in ("https://evil.example", "null", f"{PAGE}.evil.example", "http://chat.example"):
        assert cors_headers(preflight(open_box.url, stranger)) == {}


def test_an_allowed_page_may_manage_the_box_with_an_admin_key(open_box: RunningBox) -> None:
    admin = {"Authorization": f"Bearer {open_box.key('admin', Scope.ADMIN)}"}
    status = f"{open_box.url}/api/v1/status"
    cross_site = {"Sec-Fetch-Site": "cross-site"}
    allowed = get(status, headers={"Origin": PAGE, **cross_site, **admin})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == PAGE
    refused = get(status, headers={"Origin": "https://evil.example", **admin})
    assert refused.status_code == 403
    assert "allowed_origins" in refused.json()["hint"]


def test_a_name_of_a_reverse_proxy_is_allowed_and_no_other(open_box: RunningBox) -> None:
    admin = {"Authorization": f"Bearer {open_box.key('admin', Scope.ADMIN)}"}
    status = f"{open_box.url}/api/v1/status"
    assert get(status, headers={"Host": "LLM.example", **admin}).status_code == 200
    refused = get(status, headers={"Host": "evil.example", **admin})
    assert refused.status_code == 403
    assert "allowed_hosts" in refused.json()["hint"]
