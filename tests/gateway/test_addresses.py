"""Which addresses count as private."""

from __future__ import annotations

import ipaddress

import pytest

from hydra_box.gateway.addresses import is_private, literal

PRIVATE = (
    *("127.0.0.1", "127.255.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "0.0.0.0", "0.1.2.3", "100.64.0.1", "100.127.255.255"),
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::"),
    *("2001:db8::1", "100::1", "2001::1"),
)
PUBLIC = (
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "169.253.1.1"),
    *("2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::"),
)


@pytest.mark.parametrize("text", PRIVATE)
def test_private(text: str) -> None:
    assert is_private(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert not is_private(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "host", ["api.example.com", "localhost", "a1", "1.example", "0x7f.example"]
)
def test_names(host: str) -> None:
    assert literal(host) is None


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "1.2.3.4.5", "a.0x1"]
)
def test_notations_that_some_resolvers_read_as_addresses(host: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        literal(host)
