"""The filter between an engine's event stream and the client."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.engines import llama_cpp_counts, vllm_counts
from hydra_box.engines.counts import RunningCounts, Usage, read_usage
from hydra_box.gateway.event_counts import EventCounts, usage_of_whole
from hydra_box.gateway.stream import StreamFilter, error_frame
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


def timed(text: str, cached: int, prompt: int, predicted: int, index: int = 0) -> bytes:
    """An event of llama.cpp that was asked for its timings."""
    timings = {
        "cache_n": cached,
        "prompt_n": prompt,
        "prompt_per_token_ms": 0.5,
        "predicted_n": predicted,
    }
    return with_member(plain(text, index), "timings", timings)


def plain(text: str, index: int = 0) -> bytes:
    choice = {"finish_reason": None, "index": index, "delta": {"content": text}}
    return b"data: %b\n\n" % compact({"choices": [choice], "created": 1})


def with_member(event: bytes, name: str, value: object) -> bytes:
    return b'%b,"%b":%b}\n\n' % (event[:-3], name.encode(), compact(value))


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def counted(text: str, prompt: int, completion: int, index: int = 0) -> bytes:
    """An event of vLLM that was asked for its usage in each."""
    usage = {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    return with_member(plain(text, index), "usage", usage)


NINE = {"prompt_tokens": 9, "completion_tokens": 8}

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
    b"event: x\ndata: " + b"y" * 1300 + b"\n\n",
    timed("x", 1, 2, 3),
    timed(',"timings":{}', 1, 2, 4),
    counted("y", 5, 6),
    b"data: unfinished",
]


Ran = tuple[bytes, bytes | None, Usage | None]


def run(
    chunks: list[bytes],
    *,
    withhold: bool,
    longest: int = 1000,
    counts: RunningCounts | None = None,
    choices: int = 1,
    per_prompt: int = 1,
) -> Ran:
    noted = EventCounts(counts, choices=choices, choices_per_prompt=per_prompt)
    stream = StreamFilter(
        withhold_usage=withhold, counts=counts, noted=noted, longest_held_bytes=longest
    )
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


COUNTS = (None, llama_cpp_counts.COUNTS, vllm_counts.COUNTS)


@given(cut_streams(), st.booleans(), st.sampled_from(COUNTS), st.sampled_from([1, 2]))
def test_however_it_is_cut_the_output_is_the_same(
    stream: tuple[bytes, list[bytes]],
    withhold: bool,
    counts: RunningCounts | None,
    choices: int,
) -> None:
    whole, chunks = stream

    def ran(chunks: list[bytes]) -> Ran:
        return run(chunks, withhold=withhold, counts=counts, choices=choices)

    expected = ran([whole])
    assert ran(chunks) == expected
    assert ran([whole[i : i + 1] for i in range(len(whole))]) == expected


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


# --- counts on the way ----------------------------------------------------------

TIMINGS_OF_THE_END = {"cache_n": 0, "prompt_n": 7, "predicted_n": 3}
END_OF_LLAMA_CPP = with_member(USAGE_FRAME, "timings", TIMINGS_OF_THE_END)


def test_what_llama_cpp_adds_is_cut_out_and_read() -> None:
    counts = llama_cpp_counts.COUNTS
    events = [plain("", 0), timed("a", 4, 3, 1), timed('"b', 4, 3, 2)]
    out, _, usage = run(events, withhold=True, counts=counts)
    assert out == plain("") + plain("a") + plain('"b')
    assert usage == Usage(prompt_tokens=7, cached_tokens=4, completion_tokens=2)
    out, _, usage = run([*events, END_OF_LLAMA_CPP + DONE], withhold=True, counts=counts)
    assert out == plain("") + plain("a") + plain('"b') + DONE
    assert usage == Usage(prompt_tokens=7, completion_tokens=3)


def progress(read: int, index: int = 0) -> bytes:
    """An event of llama.cpp about a prompt of 100 tokens, of which 40 were in the cache."""
    told = {"total": 100, "cache": 40, "processed": read, "time_ms": 1}
    return with_member(timed("", 40, read - 40, 0, index), "prompt_progress", told)


def test_how_far_llama_cpp_is_with_a_prompt_is_withheld_and_tells_its_tokens() -> None:
    counts = llama_cpp_counts.COUNTS
    begun = [progress(40), progress(70)]
    out, _, usage = run(begun, withhold=True, counts=counts)
    assert (out, usage) == (b"", Usage(prompt_tokens=100, cached_tokens=40))
    out, _, usage = run([*begun, plain(""), timed("a", 40, 60, 1)], withhold=True, counts=counts)
    assert out == plain("") + plain("a")
    assert usage == Usage(prompt_tokens=100, cached_tokens=40, completion_tokens=1)


def test_a_client_that_asks_how_far_its_prompt_is_gets_that_without_the_counts() -> None:
    stream = StreamFilter(
        withhold_usage=True, counts=llama_cpp_counts.COUNTS, withhold_progress=False
    )
    out = stream.feed(progress(40) + timed("a", 40, 60, 1))
    assert b'"prompt_progress"' in out
    assert b'"timings"' not in out
    assert out.endswith(plain("a"))


def test_the_prompts_that_llama_cpp_has_begun_with_are_counted_each() -> None:
    counts = llama_cpp_counts.COUNTS
    noted = EventCounts(counts, choices=3, choices_per_prompt=1)
    stream = StreamFilter(withhold_usage=True, counts=counts, noted=noted)
    assert stream.feed(progress(40, 0) + progress(40, 2)) == b""
    assert stream.usage() == Usage(prompt_tokens=200, cached_tokens=80)


def test_what_vllm_adds_is_cut_out_and_read() -> None:
    counts = vllm_counts.COUNTS
    events = [counted("a", 7, 1), counted("b", 7, 2)]
    out, _, usage = run(events, withhold=True, counts=counts)
    assert out == plain("a") + plain("b")
    assert usage == Usage(prompt_tokens=7, cached_tokens=2, completion_tokens=2)
    end = USAGE_FRAME.replace(b'"choices": []', b'"choices":[]')
    out, _, usage = run([*events, end, DONE], withhold=False, counts=counts)
    assert out == plain("a") + plain("b") + end + DONE
    assert usage == Usage(prompt_tokens=7, completion_tokens=3)


def test_what_vllm_shows_as_not_set_stays_so() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": None}
    event = with_member(plain("a"), "usage", usage)
    out, _, read = run([event], withhold=True, counts=vllm_counts.COUNTS)
    assert out == with_member(plain("a"), "usage", None)
    # Of a chat this one is not set, and nothing around it is shown.
    of_chat = {"prompt_tokens": 7, "completion_tokens": 1, "completion_tokens_details": None}
    event = with_member(plain("a"), "usage", of_chat)
    assert run([event], withhold=True, counts=vllm_counts.COUNTS)[0] == plain("a")
    assert read == Usage(prompt_tokens=7, completion_tokens=1)


@pytest.mark.parametrize("event", [timed("a", 4, 3, 1), counted("a", 7, 1)])
def test_what_the_client_asked_for_itself_stays(event: bytes) -> None:
    counts = vllm_counts.COUNTS if b'"usage"' in event else llama_cpp_counts.COUNTS
    stream = StreamFilter(withhold_usage=True, counts=counts, withhold_counts=False)
    assert stream.feed(event) == event
    assert stream.usage() is not None


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (',"timings":{"cache_n":1,"prompt_n":1,"predicted_n":9}', llama_cpp_counts.COUNTS),
        (',"usage":{"prompt_tokens":1,"completion_tokens":9}', vllm_counts.COUNTS),
    ],
)
def test_a_model_that_talks_of_counts_is_neither_cut_nor_counted(
    text: str, counts: RunningCounts
) -> None:
    assert run([plain(text)], withhold=True, counts=counts) == (plain(text), None, None)


def test_the_choices_of_llama_cpp_are_counted_together() -> None:
    counts = llama_cpp_counts.COUNTS
    one_ends = USAGE_FRAME.replace(b'"completion_tokens": 3', b'"completion_tokens": 5')
    events = [
        timed("a", 0, 7, 1, 0) + timed("b", 7, 0, 1, 1),
        timed("c", 7, 0, 4, 1),
        plain("", 1) + one_ends,
        timed("d", 0, 7, 2, 0),
    ]
    _, _, usage = run(events, withhold=True, counts=counts, choices=2, per_prompt=2)
    assert usage == Usage(prompt_tokens=7, completion_tokens=2 + 5)
    events += [plain("", 0) + USAGE_FRAME, DONE]
    out, _, usage = run(events, withhold=True, counts=counts, choices=2, per_prompt=2)
    assert usage == Usage(prompt_tokens=7, completion_tokens=3 + 5)
    assert b"usage" not in out
    assert b"timings" not in out


def test_the_prompts_of_several_are_counted_each() -> None:
    events = [timed("a", 1, 2, 1, 0), timed("a", 1, 4, 3, 1)]
    counts = llama_cpp_counts.COUNTS
    _, _, usage = run(events, withhold=True, counts=counts, choices=2, per_prompt=1)
    assert usage == Usage(prompt_tokens=3 + 5, cached_tokens=2, completion_tokens=4)


def test_a_stream_of_vllm_with_choices_is_counted_together_until_its_end_says_all() -> None:
    events = [counted("a", 7, 1, 0), counted("b", 7, 4, 1)]
    counts = vllm_counts.COUNTS
    _, _, usage = run(events, withhold=True, counts=counts, choices=2, per_prompt=2)
    assert usage == Usage(prompt_tokens=7, cached_tokens=2, completion_tokens=5)
    end = USAGE_FRAME.replace(b'"choices": []', b'"choices":[]')
    _, _, usage = run([*events, end], withhold=True, counts=counts, choices=2, per_prompt=2)
    assert usage == Usage(prompt_tokens=7, completion_tokens=3)


@pytest.mark.parametrize(
    ("events", "choices", "over"),
    [
        ([frame("a")], 1, False),
        ([frame("a"), frame("[DONE]")], 1, False),
        ([frame("a"), USAGE_FRAME], 1, True),
        ([frame("a"), DONE], 1, True),
        ([frame("a"), USAGE_FRAME], 2, False),
        ([frame("a"), USAGE_FRAME, DONE], 2, True),
    ],
)
def test_it_is_known_when_an_answer_is_whole(events: list[bytes], choices: int, over: bool) -> None:
    counts = llama_cpp_counts.COUNTS
    noted = EventCounts(counts, choices=choices, choices_per_prompt=choices)
    stream = StreamFilter(withhold_usage=True, counts=counts, noted=noted)
    for event in events:
        stream.feed(event)
    assert stream.over == over


def test_usage_on_the_way_is_not_the_end() -> None:
    stream = StreamFilter(withhold_usage=True)
    for tokens in (1, 2, 3):
        usage = {"prompt_tokens": 7, "completion_tokens": tokens}
        event = with_member(plain("a"), "usage", usage)
        assert stream.feed(event) == event
        assert stream.usage() == Usage(prompt_tokens=7, completion_tokens=tokens)
        assert not stream.over
    stream.feed(DONE)
    assert stream.over


def test_a_whole_answer_whose_usage_is_that_of_one_choice_is_estimated() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 10}
    body = compact({"choices": ["x" * 98, "x" * 198, "x" * 48], "usage": usage})
    exact = Usage(prompt_tokens=7, completion_tokens=10)

    def read(body: bytes, counts: RunningCounts | None, choices: int, others: int) -> object:
        return usage_of_whole(body, counts, choices=choices, other_prompts_tokens=others)

    assert read(body, llama_cpp_counts.COUNTS, 1, 0) == (exact, False)
    assert read(body, vllm_counts.COUNTS, 3, 0) == (exact, False)
    assert read(body, None, 3, 0) == (exact, False)
    three = Usage(prompt_tokens=7, completion_tokens=35)
    assert read(body, llama_cpp_counts.COUNTS, 3, 0) == (three, True)
    prompts = Usage(prompt_tokens=507, completion_tokens=35)
    assert read(body, llama_cpp_counts.COUNTS, 3, 500) == (prompts, True)
    assert read(b"{}", llama_cpp_counts.COUNTS, 3, 0) == (None, False)


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
        (
            compact({"usage": {**NINE, "prompt_tokens_details": {"cached_tokens": 4}}}),
            Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=8),
        ),
        (
            compact({"usage": {**NINE, "completion_tokens_details": {"reasoning_tokens": 6}}}),
            Usage(prompt_tokens=9, completion_tokens=8, reasoning_tokens=6),
        ),
        (
            compact({"usage": {**NINE, "prompt_tokens_details": None}}),
            Usage(prompt_tokens=9, completion_tokens=8),
        ),
    ],
)
def test_usage_is_read_from_any_answer(data: bytes, usage: Usage | None) -> None:
    assert read_usage(data) == usage


def test_an_error_frame_is_one_event() -> None:
    body = ErrorBody(error=ErrorDetail(message="a\nb", type="t", code="c"))
    assert error_frame(body).count(b"\n") == 2
    assert json.loads(error_frame(body).removeprefix(b"data: "))["error"]["message"] == "a\nb"
