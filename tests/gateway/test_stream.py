"""The filter between an engine's event stream and the client."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.gateway.stream import StreamFilter, Usage, error_frame, read_usage
from hydra_box.types import ErrorBody, ErrorDetail
from tests.gateway.harness import DONE, USAGE_FRAME, frame

NULL_USAGE = b'data: {"choices":[{"delta":{"content":"x"}}],"usage":null}\n\n'
LAST_WITH_USAGE = (
    b'data: {"choices":[{"text":"","finish_reason":"stop"}],'
    b'"usage":{"completion_tokens":2,"prompt_tokens":5}}\n\n'
)
TALKS_OF_USAGE = frame('"choices":[],"usage":{"prompt_tokens":99} and {"error": {}}')
ERROR = b'data: {"error":{"code":500,"message":"boom","type":"server_error"}}\n\n'
SPACED = b'data: {"choices" : [ ] , "usage" : {"prompt_tokens": 1, "completion_tokens": 2}}\r\n\r\n'

PIECES = [
    frame("hello"),
    frame("é \n\n"),
    NULL_USAGE,
    LAST_WITH_USAGE,
    TALKS_OF_USAGE,
    USAGE_FRAME,
    SPACED,
    ERROR,
    DONE,
    b": keep-alive\n\n",
    b"\n",
    b"\r\n\r\n",
    b"event: x\ndata: " + b"y" * 300 + b"\n\n",
    b"data: unfinished",
]


def run(
    chunks: list[bytes], *, withhold: bool, longest: int = 200
) -> tuple[bytes, bytes | None, Usage | None]:
    stream = StreamFilter(withhold_usage=withhold, longest_held_bytes=longest)
    out = b""
    for chunk in chunks:
        out += stream.feed(chunk)
        if stream.error is not None:
            return out, stream.error, stream.usage()
    return out + stream.finish(), None, stream.usage()


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    whole = b"".join(draw(st.lists(st.sampled_from(PIECES), max_size=8)))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(whole) - 1)), max_size=12)))
    edges = [0, *cuts, len(whole)]
    return whole, [whole[a:b] for a, b in pairwise(edges)]


@settings(deadline=None)
@given(cut_streams(), st.booleans())
def test_however_it_is_cut_the_output_is_the_same(
    stream: tuple[bytes, list[bytes]], withhold: bool
) -> None:
    whole, chunks = stream
    expected = run([whole], withhold=withhold)
    assert run(chunks, withhold=withhold) == expected
    assert run([whole[i : i + 1] for i in range(len(whole))], withhold=withhold) == expected


@settings(deadline=None)
@given(cut_streams())
def test_without_withholding_every_byte_before_an_error_passes(
    stream: tuple[bytes, list[bytes]],
) -> None:
    whole, chunks = stream
    out, error, _ = run(chunks, withhold=False)
    rest = whole.removeprefix(out)
    assert rest == whole[len(out) :]
    assert rest == b"" if error is None else rest.startswith(ERROR)


def test_the_usage_chunk_is_withheld_and_read() -> None:
    out, _, usage = run([frame("a") + frame("b"), USAGE_FRAME + DONE], withhold=True)
    assert out == frame("a") + frame("b") + DONE
    assert usage == Usage(prompt_tokens=7, completion_tokens=3)


def test_the_usage_chunk_passes_when_it_was_asked_for() -> None:
    out, _, usage = run([frame("a"), USAGE_FRAME, DONE], withhold=False)
    assert out == frame("a") + USAGE_FRAME + DONE
    assert usage == Usage(prompt_tokens=7, completion_tokens=3)


def test_a_model_that_talks_of_usage_is_not_silenced() -> None:
    assert run([TALKS_OF_USAGE, NULL_USAGE], withhold=True) == (
        TALKS_OF_USAGE + NULL_USAGE,
        None,
        None,
    )


def test_usage_beside_a_last_choice_is_read_and_passes() -> None:
    out, _, usage = run([LAST_WITH_USAGE, DONE], withhold=True)
    assert out == LAST_WITH_USAGE + DONE
    assert usage == Usage(prompt_tokens=5, completion_tokens=2)


def test_whole_frames_leave_as_they_come_and_parts_wait() -> None:
    stream = StreamFilter(withhold_usage=True)
    first = frame("a")
    assert stream.feed(first) is first
    assert stream.feed(first[:10]) == b""
    assert stream.feed(first[10:]) == first


def test_an_error_event_ends_the_output() -> None:
    out, error, _ = run([frame("a") + ERROR + DONE], withhold=True)
    assert out == frame("a")
    assert error is not None
    assert json.loads(error)["error"]["message"] == "boom"


def test_a_very_long_event_is_passed_on_in_parts() -> None:
    stream = StreamFilter(withhold_usage=True, longest_held_bytes=1000)
    out = stream.feed(b"data: " + b"x" * 2000)
    assert len(out) > 1900
    assert stream.mid_frame
    out += stream.feed(b"x\n") + stream.feed(b"\n")
    assert out == b"data: " + b"x" * 2001 + b"\n\n"
    assert not stream.mid_frame


@pytest.mark.parametrize(
    ("data", "usage"),
    [
        (b"", None),
        (b'{"usage":null}', None),
        (b'{"usage":{"prompt_tokens":"x"}}', None),
        (b'{"usage":{"prompt_tokens":1', None),
        (b'{"usage":' + b'{"a":' * 5000, None),
        (b'{"usage": {"prompt_tokens":1,"total_tokens":1},"id":"x"}', Usage(prompt_tokens=1)),
        (
            b'{"usage":{"completion_tokens":3,"details":{"cached":0}},"choices":[{"usage":null}]}',
            Usage(completion_tokens=3),
        ),
    ],
)
def test_usage_is_read_from_any_answer(data: bytes, usage: Usage | None) -> None:
    assert read_usage(data) == usage


def test_an_error_frame_is_one_event() -> None:
    body = ErrorBody(error=ErrorDetail(message="a\nb", type="t", code="c"))
    assert error_frame(body).count(b"\n") == 2
    assert json.loads(error_frame(body).removeprefix(b"data: "))["error"]["message"] == "a\nb"
