"""Which key may call what, and what is nearest to a wrong name."""

from __future__ import annotations

import msgspec
import pytest

from hydra_box.errors import Forbidden
from hydra_box.gateway.access import (
    LOCAL_USER,
    caller_of,
    check_may_infer,
    may_call,
    nearest,
    unknown_model,
)
from hydra_box.types import ApiKey, Scope
from tests.gateway.test_pool import SERVICE

NAMES = ["public/llama", "u-1100a15812cc/mistral", "u-1100a15812cc/qwen2", "u-1100a15812cc/qwen3"]


def key(owner_id: str, *scopes: Scope) -> ApiKey:
    return ApiKey(
        id="key-1",
        name="k",
        owner_id=owner_id,
        sha256="",
        masked="",
        scopes=scopes,
        created_at=0.0,
    )


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
    assert may_call(caller_of(key(owner, *scopes)), service) is allowed
    assert may_call(LOCAL_USER, service)


def test_only_the_inference_scope_may_infer() -> None:
    check_may_infer(caller_of(key("u-1", Scope.INFERENCE)))
    with pytest.raises(Forbidden, match="no inference scope"):
        check_may_infer(caller_of(key("u-1", Scope.ADMIN)))


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
        ("zzz", [], "no service can be called yet; hydra-box quickstart makes one"),
    ],
)
def test_an_unknown_model_has_a_hint(model: str, names: list[str], hint: str) -> None:
    error = unknown_model(model, names)
    assert (error.hint or "").startswith(hint)
    assert error.param == "model"
