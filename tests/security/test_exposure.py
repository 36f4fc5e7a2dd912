"""A box that others can reach has a key that opens something, whoever made its socket."""

from __future__ import annotations

import pytest

from hydra_box.errors import ConfigError
from hydra_box.exposure import is_loopback, opens, refuse_open_bind
from hydra_box.messages import KeyView
from hydra_box.types import KeyLimits, Scope

NOW = 1_000.0


def key(**changes: object) -> KeyView:
    fields = {
        "id": "k",
        "name": "k",
        "owner_id": "u",
        "owner_name": "u",
        "masked": "hb-...",
        "scopes": (Scope.INFERENCE,),
        "created_at": 1.0,
        "created_by": "",
        "last_used_at": None,
        "revoked_at": None,
        "disabled_at": None,
        "owner_disabled_at": None,
        "expires_at": None,
        "models": (),
        "denied_models": (),
        "limits": KeyLimits(),
        "quota": None,
        "quota_used_tokens": None,
        "previous_until": None,
    }
    return KeyView(**{**fields, **changes})  # type: ignore[arg-type]  # a test gives the right ones


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.168.1.2", False),
        ("0.0.0.0", False),
        ("::", False),
        ("::ffff:0.0.0.0", False),
        ("192.168.1.2", False),
        ("fe80::1%2", False),
    ],
)
def test_who_reaches_an_address(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here


@pytest.mark.parametrize(
    ("changes", "works"),
    [
        ({}, True),
        ({"expires_at": NOW + 1}, True),
        ({"expires_at": NOW}, False),
        ({"revoked_at": 1.0}, False),
        ({"disabled_at": 1.0}, False),
        ({"owner_disabled_at": 1.0}, False),
    ],
)
def test_a_key_that_opens_nothing_does_not_count(changes: dict[str, object], works: bool) -> None:
    assert opens(key(**changes), NOW) is works
    if works:
        refuse_open_bind(["0.0.0.0"], [key(**changes)], NOW)
        return
    with pytest.raises(ConfigError) as caught:
        refuse_open_bind(["0.0.0.0"], [key(**changes)], NOW)
    assert "no key that opens anything (1 revoked, expired or disabled)" in caught.value.message
    assert "hydra-box keys create" in (caught.value.hint or "")


def test_one_address_of_several_is_enough_to_need_a_key() -> None:
    refuse_open_bind(["127.0.0.1", "::1"], [], NOW)
    with pytest.raises(ConfigError, match=r"^192\.168\.1\.2 can be reached .* has no key\n"):
        refuse_open_bind(["127.0.0.1", "192.168.1.2"], [], NOW)
