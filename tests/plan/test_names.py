"""Names of services: the rule, and names made up by the rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.errors import InvalidRequest
from hydra_box.plan.names import LONGEST, access_name, check_service_name, suggest_service_name


@pytest.mark.parametrize("name", ["ab", "a1", "0-9", "qwen2", "llama-3-8b", "a--b", "x" * 64])
def test_valid(name: str) -> None:
    assert check_service_name(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the service name '' has 0 characters"),
        ("a", "the service name 'a' has 1 character"),
        ("x" * 65, f"the service name {'x' * 64!r} has 65 characters"),
        ("x" * 1_000_000, f"the service name {'x' * 64!r} has 1000000 characters"),
        ("-ab", "the service name '-ab' is not valid"),
        ("ab-", "the service name 'ab-' is not valid"),
        ("Qwen", "the service name 'Qwen' is not valid"),
        ("a b", "the service name 'a b' is not valid"),
        ("a/b", "the service name 'a/b' is not valid"),
        ("..", "the service name '..' is not valid"),
        ("ab\n", "the service name 'ab\\n' is not valid"),
        ("a\0b", "the service name 'a\\x00b' is not valid"),
        ("модель", "the service name 'модель' is not valid"),
        ("a²b", "the service name 'a²b' is not valid"),
    ],
)
def test_not_valid(name: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_service_name(name)
    assert caught.value.message == message
    assert caught.value.param == "name"
    assert "2 to 64 lower-case letters, digits and hyphens" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("model", "taken", "name"),
    [
        ("demo", (), "demo"),
        ("demo", ("demo",), "demo-2"),
        ("demo", ("demo", "demo-2", "demo-4"), "demo-3"),
        ("/models/Qwen2.5_0.5B-Instruct.Q4_K_M.gguf", (), "qwen2-5-0-5b-instruct-q4-k-m"),
        ("/models/LLAMA.GGUF", (), "llama"),
        ("org/model/", (), "model"),
        ("a", (), "model-a"),
        ("???", (), "model"),
        ("", (), "model"),
        ("/models/.gguf", ("model",), "model-2"),
    ],
)
def test_suggestions(model: str, taken: tuple[str, ...], name: str) -> None:
    assert suggest_service_name(model, taken) == name


@given(model=st.text(), taken=st.integers(0, 30))
def test_every_suggestion_is_valid_and_free(model: str, taken: int) -> None:
    names: set[str] = set()
    for _ in range(taken + 1):
        name = check_service_name(suggest_service_name(model, names))
        assert name not in names
        names.add(name)


def test_what_means_something_else_in_the_api_is_no_name() -> None:
    with pytest.raises(InvalidRequest, match="reserved"):
        check_service_name("live")
    assert suggest_service_name("hf:someone/live", ()) == "live-2"
    assert suggest_service_name("live", ("live-2",)) == "live-3"


def test_a_long_name_leaves_room_for_any_number() -> None:
    first = suggest_service_name("x" * 100, ())
    taken = {first, *(f"{first}-{number}" for number in range(2, 10_000))}
    assert len(check_service_name(suggest_service_name("x" * 100, taken))) <= LONGEST


def test_access_names() -> None:
    assert access_name("qwen2", owner_id="u-1100a15812cc", public=True) == "public/qwen2"
    assert access_name("qwen2", owner_id="u-1100a15812cc", public=False) == "u-1100a15812cc/qwen2"
