"""What to send instead of a value that msgspec has refused."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from hydra_box.json_words import what_to_send
from hydra_box.types import Scope


@pytest.mark.parametrize(
    ("type", "json", "hint"),
    [
        (int, b'"1"', "send an integer"),
        (int | None, b"1.5", "send an integer or null"),
        (float, b'"x"', "send a number"),
        (bool, b"1", "send true or false"),
        (str | list[str], b"{}", "send a string or a list"),
        (dict[str, int], b"[]", "send an object"),
        (dict[str, int], b'{"a": "b"}', "send an integer"),
        (Annotated[int, msgspec.Meta(le=9)], b"10", "send an integer <= 9"),
        (Annotated[str, msgspec.Meta(max_length=2)], b'"abc"', "send a string of length <= 2"),
    ],
)
def test_the_hint_names_the_json_that_is_expected(type: Any, json: bytes, hint: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(json, type=type)
    assert what_to_send(str(caught.value)) == hint


def test_what_is_no_matter_of_kinds_has_no_hint() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(b'"root"', type=Scope)
    assert what_to_send(str(caught.value)) is None
