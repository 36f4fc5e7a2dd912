"""The tree of errors: one root, and the table in the docstring is the truth."""

from __future__ import annotations

import re

import msgspec
import pytest

from hydra_box import errors
from hydra_box.errors import BY_CODE, HydraError, NotFound, RateLimited


def _tree(root: type[HydraError]) -> list[type[HydraError]]:
    return [root, *(one for child in root.__subclasses__() for one in _tree(child))]


# Other test modules may derive classes of their own.
CLASSES = [one for one in _tree(HydraError) if one.__module__ == errors.__name__]


def test_every_class_has_a_code_of_its_own() -> None:
    assert {one.code: one for one in CLASSES} == BY_CODE
    assert len(BY_CODE) == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
def test_statuses_and_exit_codes_make_sense(kind: type[HydraError]) -> None:
    assert 400 <= kind.http_status < 600
    assert 1 <= kind.exit_code < 64
    if kind.type == "invalid_request_error":
        assert kind.http_status < 500


def test_the_docstring_shows_the_tree_as_it_is() -> None:
    line = re.compile(r"^    (│   )?[├└]── (\w+) +(\d+) +exit (\d+)", re.MULTILINE)
    shown = {
        name: (int(status), int(exit_code), bool(nested))
        for nested, name, status, exit_code in line.findall(errors.__doc__ or "")
    }
    assert shown == {
        one.__name__: (one.http_status, one.exit_code, one.__base__ is not HydraError)
        for one in CLASSES
        if one is not HydraError
    }


def test_a_message_and_its_hint() -> None:
    plain = NotFound("there is no service 'a'")
    hinted = NotFound("there is no service 'a'", hint="did you mean 'b'?", param="model")
    assert str(plain) == "there is no service 'a'"
    assert str(hinted) == "there is no service 'a'\nhint: did you mean 'b'?"
    assert msgspec.json.decode(msgspec.json.encode(hinted.body())) == {
        "error": {
            "message": "there is no service 'a'",
            "type": "invalid_request_error",
            "code": "not_found",
            "param": "model",
        },
        "hint": "did you mean 'b'?",
    }
    body = msgspec.json.decode(msgspec.json.encode(plain.body()))
    assert body["error"]["param"] is None
    assert "hint" not in body


def test_when_to_come_again() -> None:
    assert RateLimited("at its limit", retry_after_seconds=7).retry_after_seconds == 7
    assert RateLimited("at its limit").retry_after_seconds is None
