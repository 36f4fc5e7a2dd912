"""Which key may call what, and what is nearest to a wrong name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hydra_box.errors import Forbidden
from hydra_box.gateway.access import (
    caller_of,
    check_may_infer,
    local_caller,
    may_call,
    nearest,
    refusal,
    unknown_model,
)
from hydra_box.types import ApiKey, KeyLimits, QuotaPeriod, Scope, Service, TokenQuota, User
from tests.gateway.test_pool import SERVICE

NAMES = ["public/llama", "u-1100a15812cc/mistral", "u-1100a15812cc/qwen2", "u-1100a15812cc/qwen3"]


def user(id: str) -> User:
    return User(id=id, name=f"{id}'s name", created_at=0.0)


def key(owner_id: str, *scopes: Scope, **terms: Any) -> ApiKey:
    return ApiKey(
        id="key-1",
        name="k",
        owner_id=owner_id,
        sha256="",
        masked="",
        scopes=scopes or (Scope.INFERENCE,),
        created_at=0.0,
        **terms,
    )


def named(access_name: str) -> Service:
    """A public service."""
    return msgspec.structs.replace(SERVICE, access_name=access_name, public=True)


@pytest.mark.parametrize(
    ("owner", "scopes", "public", "allowed"),
    [
        ("u-1", (Scope.INFERENCE,), False, True),
        ("u-2", (Scope.INFERENCE,), False, False),
        ("u-2", (Scope.INFERENCE,), True, True),
        ("u-2", (Scope.INFERENCE, Scope.ADMIN), False, True),
    ],
)
def test_who_may_call(owner: str, scopes: tuple[Scope, ...], public: bool, allowed: bool) -> None:
    service = msgspec.structs.replace(SERVICE, public=public)
    caller = caller_of(key(owner, *scopes), user(owner))
    assert may_call(caller, service) is allowed
    assert may_call(local_caller(user("u-3")), service)


def test_a_caller_is_who_the_key_and_its_user_are_now() -> None:
    limits = KeyLimits(requests_per_minute=5)
    quota = TokenQuota(tokens=9, period=QuotaPeriod.DAY)
    caller = caller_of(key("u-1", limits=limits, quota=quota), user("u-1"))
    assert (caller.name, caller.key_id, caller.everything) == ("k", "key-1", False)
    assert (caller.owner_id, caller.owner_name) == ("u-1", "u-1's name")
    assert (caller.limits, caller.quota) == (limits, quota)
    owner = local_caller(user("u-1"))
    assert (owner.key_id, owner.owner_id, owner.owner_name) == (None, "u-1", "u-1's name")
    assert (owner.everything, owner.may_infer, owner.quota) == (True, True, None)


@pytest.mark.parametrize(
    ("models", "denied", "why"),
    [
        ((), (), None),
        (("public/*",), (), None),
        (("u-*/*", "public/q*"), ("public/qwen", "public/qwen2?*"), None),
        (("u-*/*",), (), "it is for u-*/*"),
        (("a", "b", "c", "d"), (), "it is for a, b, c and others"),
        # Deny wins, also over the very same glob, and for whoever has the key.
        ((), ("*/other", "public/*"), "it is denied public/*"),
        (("public/qwen2",), ("public/qwen2",), "it is denied public/qwen2"),
        (("u-*/*",), ("*",), "it is denied *"),
        # As a file's name: case counts, and a slash is a character.
        ((), ("PUBLIC/*",), None),
        ((), ("p*2",), "it is denied p*2"),
        ((), ("*/[a-m]*",), None),
    ],
)
@pytest.mark.parametrize("scopes", [(Scope.INFERENCE,), (Scope.INFERENCE, Scope.ADMIN)])
def test_globs_allow_and_deny(
    models: tuple[str, ...],
    denied: tuple[str, ...],
    why: str | None,
    scopes: tuple[Scope, ...],
) -> None:
    service = named("public/qwen2")
    caller = caller_of(key("u-1", *scopes, models=models, denied_models=denied), user("u-1"))
    assert may_call(caller, service) is (why is None)
    if why is not None:
        error = refusal(caller, service)
        assert error.message == f"the key 'k' may not call 'public/qwen2': {why}"
        assert (error.param, bool(error.hint)) == ("model", True)


def test_only_the_inference_scope_may_infer() -> None:
    check_may_infer(caller_of(key("u-1", Scope.INFERENCE), user("u-1")))
    with pytest.raises(Forbidden, match="no inference scope"):
        check_may_infer(caller_of(key("u-1", Scope.ADMIN), user("u-1")))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("qwen2", "u-1100a15812cc/qwen2"),
        ("u-1100a15812cc/mistal", "u-1100a15812cc/mistral"),
        ("public/qwen2", "u-1100a15812cc/qwen2"),
        ("lama", "public/llama"),
    ],
)
def test_the_nearest_names(model: str, expected: str) -> None:
    assert nearest(model, NAMES)[0] == expected


@pytest.mark.parametrize(
    ("model", "names", "hint"),
    [
        ("qwen2", NAMES, "did you mean u-1100a15812cc/qwen2 or u-1100a15812cc/qwen3?"),
        ("zzz", NAMES, "this key may call public/llama, u-1100a15812cc/mistral, "),
        ("zzz", [], "this key may call none yet; hydra-box keys show NAME tells"),
    ],
)
def test_an_unknown_model_has_a_hint(model: str, names: list[str], hint: str) -> None:
    error = unknown_model(caller_of(key("u-1"), user("u-1")), model, names)
    assert error.message == f"no service that the key 'k' may call has the access name {model!r}"
    assert (error.hint or "").startswith(hint)
    assert error.param == "model"


def test_who_may_call_everything_is_told_that_there_is_none() -> None:
    error = unknown_model(local_caller(user("u-1")), "zzz", [])
    assert error.message == "no service has the access name 'zzz'"
    assert error.hint == "no service can be called yet; hydra-box quickstart makes one"
