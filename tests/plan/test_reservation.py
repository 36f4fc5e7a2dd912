"""What is reserved for a request, and what it is thought to cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.plan.reservation import Ask, expected_tokens, most_tokens

CONTEXT = 4096


@pytest.mark.parametrize(
    ("ask", "context_length", "most", "expected"),
    [
        (Ask(body_bytes=400, max_tokens=100), CONTEXT, 756, 200),
        (Ask(body_bytes=400, max_tokens=100, choices=3), CONTEXT, 3 * 756, 400),
        (Ask(body_bytes=400), CONTEXT, CONTEXT, 612),
        (Ask(body_bytes=400, choices=2), CONTEXT, 2 * CONTEXT, 100 + 2 * 512),
        (Ask(body_bytes=400, max_tokens=10**6), CONTEXT, CONTEXT, 100 + CONTEXT),
        (Ask(body_bytes=10**6, max_tokens=1), CONTEXT, CONTEXT, CONTEXT + 1),
        (Ask(body_bytes=400, max_tokens=1, has_media=True), CONTEXT, CONTEXT, 101),
        (Ask(body_bytes=400), 0, 400 + 256 + 4096, 612),
        (Ask(body_bytes=400, max_tokens=50), 0, 706, 150),
        (Ask(body_bytes=400, generates=False), CONTEXT, 656, 100),
        (Ask(body_bytes=10**6, generates=False), CONTEXT, 10**6 + 256, 250_000),
        (Ask(body_bytes=400, generates=False, has_media=True), CONTEXT, CONTEXT, 100),
        (Ask(body_bytes=10**6, thought_bytes=4000, max_tokens=1), 0, 10**6 + 257, 1001),
        (Ask(body_bytes=3, max_tokens=0), 128, 128, 1),
    ],
)
def test_of_a_request(ask: Ask, context_length: int, most: int, expected: int) -> None:
    assert most_tokens(ask, context_length) == most
    assert expected_tokens(ask, context_length) == expected


@given(
    st.integers(2, 10**6),
    st.none() | st.integers(0, 10**6),
    st.integers(1, 128),
    st.integers(1, 10**6),
    st.data(),
)
def test_nothing_takes_more_than_is_reserved(
    body_bytes: int, max_tokens: int | None, choices: int, context_length: int, data: st.DataObject
) -> None:
    ask = Ask(body_bytes=body_bytes, max_tokens=max_tokens, choices=choices)
    prompt = data.draw(st.integers(0, min(body_bytes + 256, context_length)))
    room = context_length - prompt
    answer = data.draw(st.integers(0, room if max_tokens is None else min(room, max_tokens)))
    assert prompt + answer * choices <= most_tokens(ask, context_length)
