"""Renaming in bytes, however an answer is cut into pieces."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.gateway.renaming import RenamedPieces, Renaming, ask_for

THEIRS, OURS = "org/model-1", "public/demo"
RENAMING = Renaming(THEIRS, OURS)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (b'{"model":"org/model-1"}', b'{"model":"public/demo"}'),
        (b'{"model" : \n "org/model-1"}', b'{"model" : \n "public/demo"}'),
        (b'{"model":"org\\/model-1"}', b'{"model":"public/demo"}'),
        (b'{"model":"org/model-1-2024-08-06"}', b'{"model":"public/demo"}'),
        (b'{"model":"org/model-10"}', b'{"model":"org/model-10"}'),
        (b'{"model":"other"}', b'{"model":"other"}'),
        (b'{"model":null}', b'{"model":null}'),
        (b'{"c":"\\"model\\":\\"org/model-1\\""}', b'{"c":"\\"model\\":\\"org/model-1\\""}'),
        (b'{"c":"org/model-1"}', b'{"c":"org/model-1"}'),
    ],
)
def test_an_answer(theirs: bytes, ours: bytes) -> None:
    assert RENAMING.of_answer(theirs) == ours


def test_an_error_has_our_name_wherever_it_has_theirs() -> None:
    theirs = b"The model org/model-1 (or `org/model-1`, not org/model-12) does not exist"
    ours = b"The model public/demo (or `public/demo`, not org/model-12) does not exist"
    assert RENAMING.of_error(theirs) == ours


TEXTS = st.text('ab"\\:model/\n é1-', max_size=12)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.just(THEIRS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("model"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    values=st.lists(JSONS, min_size=1, max_size=3),
    indent=st.sampled_from([None, 1]),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_pieces_are_renamed_as_the_whole_is(
    values: list[object], indent: int | None, cuts: list[int]
) -> None:
    answer = b"".join(b"data: %b\n\n" % json.dumps(one, indent=indent).encode() for one in values)
    pieces = RenamedPieces(RENAMING)
    edges = sorted({0, *(one for one in cuts if one < len(answer)), len(answer)})
    out = [pieces.feed(answer[start:end]) for start, end in pairwise(edges)]
    assert b"".join(out) + pieces.finish() == RENAMING.of_answer(answer)


def test_it_is_renamed_wherever_two_pieces_meet() -> None:
    answer = b'data: {"c":["model"],"model": "org/model-1","model":"org/model-1"}\n\n'
    for cut in range(len(answer) + 1):
        pieces = RenamedPieces(RENAMING)
        out = pieces.feed(answer[:cut]) + pieces.feed(answer[cut:]) + pieces.finish()
        assert out == RENAMING.of_answer(answer), cut


@given(value=st.dictionaries(TEXTS, JSONS, max_size=4), name=st.text(max_size=10))
def test_a_request_asks_for_the_other_name_and_for_nothing_else(
    value: dict[str, object], name: str
) -> None:
    asked = ask_for(json.dumps({"model": OURS} | value).encode(), name)
    assert json.loads(asked) == {"model": OURS} | value | {"model": name}
