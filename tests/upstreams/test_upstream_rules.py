"""What an upstream may be set to."""

from __future__ import annotations

import pytest

from hydra_box.errors import InvalidRequest
from hydra_box.messages import UpstreamRequest
from hydra_box.upstreams.rules import (
    check_key,
    check_model,
    check_most_requests,
    check_public,
    check_upstream,
    check_url,
    check_weight,
)
from tests.samples import a_service


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("https://API.Example.com", "https://api.example.com"),
        ("http://8.8.8.8:8000/", "http://8.8.8.8:8000"),
        ("https://[2606:4700::1111]:8443/openai/v1", "https://[2606:4700::1111]:8443/openai/v1"),
        ("https://my_host/a.b/c~d:e@f/v1", "https://my_host/a.b/c~d:e@f/v1"),
    ],
)
def test_urls(text: str, stored: str) -> None:
    assert check_url(text, allow_private=False) == stored


@pytest.mark.parametrize(
    "text",
    [
        *("", "api.example.com/v1", "ftp://api.example.com", "file:///etc/passwd", "https://"),
        *("https://user@api.example.com", "https://user:pw@api.example.com", "https://@a.example"),
        *("https://api.example.com/v1?key=1", "https://a.example/v1?", "https://a.example/v1#x"),
        *(
            "https://a.example:0/v1",
            "https://a.example:99999",
            "https://a.example:x",
            "https://a b",
        ),
        *("https://a.example/../v1", "https://a.example/%2e%2e", "https://a.example/v1//x"),
        *("https://a.example\\@b.example", "https://a.example/\r\nX: y", "https://ä.example"),
        *(
            "https://127.1/v1",
            "https://2130706433/v1",
            "https://0x7f.0.0.1/v1",
            "https://0x7f000001",
        ),
        *(
            "https://-a.example",
            "https://a..b/\x00",
            f"https://{'a' * 300}.example",
            "https://[::1",
        ),
        *("https://[fe80::1%25eth0]/v1", "https://a.example" + "/v1" * 1000),
    ],
)
def test_urls_that_are_none_even_where_private_ones_are_allowed(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_url(text, allow_private=True)
    assert refused.value.param == "base_url"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.1.2.3:8000", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[fd00:ec2::254]", "[fe80::1]", "[64:ff9b::7f00:1]"),
        *("localhost", "LOCALHOST", "localhost.", "a.localhost"),
    ],
)
def test_private_addresses_need_a_word(host: str) -> None:
    with pytest.raises(InvalidRequest, match="is a private address") as refused:
        check_url(f"http://{host}/v1", allow_private=False)
    assert "--allow-private" in (refused.value.hint or "")
    assert check_url(f"http://{host}/v1", allow_private=True) == f"http://{host.lower()}/v1"


def test_models() -> None:
    assert check_model("accounts/x/models/deepseek-r1:free") == "accounts/x/models/deepseek-r1:free"
    for name in ("", "a b", 'a"b', "a\\b", "a\n", "é", "a" * 257):
        with pytest.raises(InvalidRequest):
            check_model(name)


def test_an_error_about_a_key_does_not_have_it() -> None:
    assert check_key("sk-a.B_c~1") == "sk-a.B_c~1"
    for key in ("", "secret key", "secret\nkey", "secrét", "secret" * 1000):
        with pytest.raises(InvalidRequest) as refused:
            check_key(key)
        assert "secr" not in str(refused.value)
        assert refused.value.param == "api_key"


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf"), 1001.0, 1e-9])
def test_weights(weight: float) -> None:
    assert check_weight(0.5) == 0.5
    with pytest.raises(InvalidRequest):
        check_weight(weight)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, "cannot be 0"),
        (-1, "cannot be -1"),
        (10_001, "cannot be 10,001"),
        (2**70, "cannot be a number of more than 64 bits"),
    ],
)
def test_numbers_of_requests(number: int, told: str) -> None:
    assert check_most_requests(1) == 1
    with pytest.raises(InvalidRequest, match=told):
        check_most_requests(number)


def test_the_whole() -> None:
    request = UpstreamRequest(base_url="https://a.example/v1/", model="m", api_key="k")
    assert check_upstream(request) == ("https://a.example/v1", "k")
    with pytest.raises(InvalidRequest, match="is not public"):
        check_public(a_service(public=False))
