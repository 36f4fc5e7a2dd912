from __future__ import annotations

import pytest

from api.security import HostCheck


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:4937", True),
        ("localhost", True),
        ("LOCALHOST:4937", True),
        ("[::1]:4937", True),
        ("gpu-box.example:4937", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:4937", False),
        ("evil.example:80@localhost", False),
        ("192.168.1.20", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_a_box_on_loopback_answers_to_loopback_names_only(host: str, allowed: bool) -> None:
    assert HostCheck({"127.0.0.1"}, "gpu-box").allows(host) is allowed


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("box.lan:4937", True),
        ("localhost:4937", True),
        ("gpu-box", False),
        ("192.168.1.20", False),
    ],
)
def test_a_configured_name_is_allowed_and_no_other(host: str, allowed: bool) -> None:
    assert HostCheck({"Box.lan"}, "gpu-box").allows(host) is allowed


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("192.168.1.20:4937", True),
        ("[fe80::1]:4937", True),
        ("gpu-box:4937", True),
        ("gpu-box.local", True),
        ("gpu-box.lan.example", True),
        ("evil.example", False),
    ],
)
@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
def test_a_box_on_every_address_answers_to_addresses_and_its_own_name(
    host: str, allowed: bool, everywhere: str
) -> None:
    assert HostCheck({everywhere}, "gpu-box.lan.example").allows(host) is allowed
