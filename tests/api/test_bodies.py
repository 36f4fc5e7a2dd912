from __future__ import annotations

import msgspec
import pytest

from api.bodies import decode_body
from hydra_box.errors import InvalidRequest
from hydra_box.messages import CreateKeyRequest, DeployRequest
from hydra_box.types import Scope


def test_a_good_body_becomes_its_struct() -> None:
    body = b'{"name": "ci", "scopes": ["admin"]}'
    assert decode_body(body, CreateKeyRequest) == CreateKeyRequest(name="ci", scopes=(Scope.ADMIN,))


@pytest.mark.parametrize(
    ("body", "struct", "message", "param"),
    [
        (b'{"model": 3}', DeployRequest, "model: expected str, got int", "model"),
        (
            b'{"model": "demo", "instances": "3"}',
            DeployRequest,
            "instances: expected int, got str",
            "instances",
        ),
        (
            b'{"name": "ci", "scopes": ["admin", "root"]}',
            CreateKeyRequest,
            "scopes[1]: invalid enum value 'root'",
            "scopes[1]",
        ),
        (b"{}", DeployRequest, "model is missing", "model"),
        (b'{"model": "demo", "shell": "x"}', DeployRequest, "unknown field 'shell'", "shell"),
        (b"[]", DeployRequest, "the body: expected object, got array", None),
        (
            b"{",
            DeployRequest,
            "the body is not valid JSON: Input data was truncated",
            None,
        ),
        (b'{"model": "\xff"}', DeployRequest, "the body is not UTF-8: invalid start byte", None),
    ],
)
def test_a_bad_body_is_refused_with_what_and_where(
    body: bytes, struct: type[msgspec.Struct], message: str, param: str | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_body(body, struct)
    assert (caught.value.message, caught.value.param) == (message, param)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("instance", "did you mean 'instances'?"),
        (
            "zzz",
            f"the fields are {', '.join(DeployRequest.__struct_fields__)}",
        ),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest(field: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_body(b'{"model": "demo", "%b": 1}' % field.encode(), DeployRequest)
    assert caught.value.hint == hint
