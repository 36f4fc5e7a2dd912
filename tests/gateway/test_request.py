"""What is read of a body, and what is spliced into it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_box.engines import llama_cpp_counts, vllm_counts
from hydra_box.engines.counts import RunningCounts
from hydra_box.errors import InvalidRequest
from hydra_box.gateway.request import MOST_TOKENS, body_for, parse

NAMES = st.text(max_size=5).map("x-{}".format)
COUNTS = (None, llama_cpp_counts.COUNTS, vllm_counts.COUNTS)


def test_a_plain_request_is_passed_on_as_it_came() -> None:
    body = b' {"messages": [ {"role":"user","content":"\\u00e9"} ], "model":"u-x/a","n":1} \n'
    request = parse(body)
    assert (request.model, request.stream, request.wants_usage) == ("u-x/a", False, False)
    assert request.body is body
    assert all(body_for(request, counts) is body for counts in COUNTS)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, {"include_usage": True}),
        ("null", {"include_usage": True}),
        ("{}", {"include_usage": True}),
        ("{ }", {"include_usage": True}),
        ('{"include_usage":false}', {"include_usage": True}),
        ('{ "x" : [1] }', {"x": [1], "include_usage": True}),
    ],
)
def test_a_stream_asks_the_engine_for_usage(options: str | None, expected: object) -> None:
    member = "" if options is None else f',"stream_options":{options}'
    body = f'{{"model":"m","stream":true{member},"messages":[1.50, "é"]}}\n'.encode()
    request = parse(body)
    assert request.stream
    assert not request.wants_usage
    sent = body_for(request, None)
    assert sent.startswith(body.rstrip()[:-1])
    assert json.loads(sent)["stream_options"] == expected


def test_a_client_that_asks_for_usage_has_its_body_untouched() -> None:
    body = b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'
    request = parse(body)
    assert request.wants_usage
    assert body_for(request, None) is body


def test_usage_is_not_asked_for_where_there_is_no_stream() -> None:
    body = b'{"model":"m","stream":false,"stream_options":{"include_usage":true}}'
    assert all(body_for(parse(body), counts) is body for counts in COUNTS)
    assert not parse(body).wants_usage


@pytest.mark.parametrize("wants_usage", [False, True])
def test_each_engine_is_asked_in_its_own_words_for_counts_on_the_way(wants_usage: bool) -> None:
    options = {"include_usage": wants_usage}
    asked = {"model": "m", "stream": True, "stream_options": options}
    request = parse(json.dumps(asked).encode())
    for_llama_cpp = json.loads(body_for(request, llama_cpp_counts.COUNTS))
    assert for_llama_cpp["timings_per_token"] is for_llama_cpp["return_progress"] is True
    assert for_llama_cpp["stream_options"] == {"include_usage": True}
    for_vllm = json.loads(body_for(request, vllm_counts.COUNTS))
    assert for_vllm["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    assert "timings_per_token" not in for_vllm


@pytest.mark.parametrize(
    ("member", "of_llama_cpp", "of_vllm"),
    [
        ('"timings_per_token":true', True, False),
        ('"timings_per_token": false ', False, False),
        ('"timings_per_token":null', False, False),
        ('"stream_options":{"include_usage":true,"continuous_usage_stats":true}', False, True),
        ('"stream_options":{"include_usage":true,"continuous_usage_stats":false}', False, False),
        ('"stream_options":{"continuous_usage_stats":true}', False, False),
    ],
)
def test_a_client_that_asks_for_counts_on_the_way_itself(
    member: str, of_llama_cpp: bool, of_vllm: bool
) -> None:
    request = parse(f'{{"model":"m","stream":true,{member}}}'.encode())
    assert request.wants(llama_cpp_counts.COUNTS) == of_llama_cpp
    assert request.wants(vllm_counts.COUNTS) == of_vllm


@pytest.mark.parametrize(
    ("members", "most"),
    [
        ("", None),
        ('"max_tokens":5', 5),
        ('"max_tokens":5,"max_completion_tokens":7', 7),
        ('"max_tokens":5,"n_predict":900', 900),
        ('"max_tokens":5,"n_predict":-1', None),
        ('"max_tokens":-1', None),
        ('"max_tokens":' + "9" * 400, MOST_TOKENS),
    ],
)
def test_the_largest_limit_of_tokens_counts(members: str, most: int | None) -> None:
    body = f'{{"model":"m"{"," + members if members else ""}}}'
    assert parse(body.encode()).max_tokens == most


@pytest.mark.parametrize(
    ("members", "each", "all"),
    [
        ('"prompt":"a"', 1, 1),
        ('"prompt":[1,2,3]', 1, 1),
        ('"prompt":[]', 1, 1),
        ('"prompt": [ "a", "b"]', 1, 2),
        ('"prompt":[[1,2],[3],"c"],"n":2', 2, 6),
        ('"n":3', 3, 3),
        ('"n":2,"n_cmpl":4', 4, 4),
    ],
)
def test_the_answers_that_are_asked_for(members: str, each: int, all: int) -> None:
    request = parse(f'{{"model":"m",{members}}}'.encode())
    assert (request.choices_per_prompt, request.choices) == (each, all)
    assert request.sequences == all


def test_answers_that_are_generated_and_not_shown_are_known() -> None:
    request = parse(b'{"model":"m","prompt":["a","b"],"n":2,"best_of":5}')
    assert (request.choices_per_prompt, request.choices, request.sequences) == (2, 4, 10)


def test_the_tokens_of_prompts_behind_the_first_are_thought_of() -> None:
    others = [[1, 2, 3], "x" * 400, ""]
    body = json.dumps({"model": "m", "prompt": ["a", *others]}, separators=(",", ":"))
    assert parse(body.encode()).other_prompts_tokens == 3 + 100 + 1
    assert parse(b'{"model":"m","prompt":[1,2,3]}').other_prompts_tokens == 0


def test_counts_are_left_to_the_client_only_if_an_engine_gives_them() -> None:
    counts = llama_cpp_counts.COUNTS
    for wrong in (b"1", b'"true"', b"{}", b"[true]", b"null", b"false"):
        request = parse(b'{"model":"m","stream":true,"timings_per_token":%b}' % wrong)
        assert json.loads(body_for(request, counts))["timings_per_token"] is True, wrong
    request = parse(b'{"model":"m","stream":true,"timings_per_token": true }')
    assert request.wants(counts)
    for asked, own in ((b"true ", True), (b"1", False), (b'"true"', False), (b"null", False)):
        request = parse(b'{"model":"m","stream":true,"return_progress":%b}' % asked)
        assert request.asks_progress == own, asked


@pytest.mark.parametrize(
    ("content", "has_media"),
    [
        ('"look"', False),
        ('[{"type":"image_url","image_url":{"url":"data:"}}]', True),
        (r'[{"im\u0061ge_url":"https://example.com/a.png"}]', True),
        (r'[{"\u0069nput_\u0061udio":{}}]', True),
        ('[{"file":{"file_id":"f"}}]', True),
    ],
)
def test_media_is_seen(content: str, has_media: bool) -> None:
    body = f'{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}'
    assert parse(body.encode()).has_media == has_media


@given(
    st.dictionaries(
        NAMES, st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=4
    ),
    st.dictionaries(NAMES, st.integers() | st.text(), max_size=4),
    st.sampled_from(COUNTS),
)
def test_the_splice_changes_nothing_else(
    members: dict[str, object], options: dict[str, object], counts: RunningCounts | None
) -> None:
    asked = {**members, "model": "m", "stream": True, "stream_options": options}
    spliced = json.loads(body_for(parse(json.dumps(asked).encode()), counts))
    wanted = dict(options, include_usage=True)
    if counts is not None and counts.stream_option:
        wanted["continuous_usage_stats"] = True
    if counts is not None and counts.member:
        asked |= {"timings_per_token": True, "return_progress": True}
    expected = {**asked, "stream_options": wanted}
    assert json.dumps(spliced, sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b"", None, "not valid JSON"),
        (b"{", None, "not valid JSON"),
        (b'{"model":"m",}', None, "byte 13"),
        (b'{"model":"m"} x', None, "not valid JSON"),
        (b"[]", None, "the body: expected object, got array"),
        (b"null", None, "the body: expected object, got null"),
        (b'{"messages":[]}', "model", "model is missing"),
        (b'{"model":1}', "model", "model: expected str, got int"),
        (b'{"model":null}', "model", "model: expected str, got null"),
        (b'{"model":""}', "model", "0 characters"),
        (b'{"model":"%b"}' % (b"x" * 300), "model", "300 characters"),
        (b'{"model":"\xff"}', None, "not UTF-8"),
        (b'{"model":"m","stream":"yes"}', "stream", "stream: expected bool | null, got str"),
        (b'{"model":"m","n":129}', "n", "n is 129"),
        (b'{"model":"m","n":0}', "n", "n is 0"),
        (b'{"model":"m","n":1,"n_cmpl":129}', "n_cmpl", "n_cmpl is 129"),
        (b'{"model":"m","n":-1}', "n", "n is -1"),
        (b'{"model":"m","best_of":129}', "best_of", "best_of is 129"),
        (b'{"model":"m","n":100,"prompt":["a","b"]}', "prompt", "200 answers"),
        (b'{"model":"m","n":1.5}', "n", "n: expected int | null, got float"),
        (b'{"model":"m","n":%b}' % (b"9" * 4000), "n", "more than 64 bits"),
        (b'{"model":"m","n":1,"n":500}', "n", "n is 500"),
        (b'{"model":"m","\\u006e":500}', "n", "n is 500"),
        (b'{"model":"m","max_tokens":"5"}', "max_tokens", "got str"),
        (b'{"model":"m","max_completion_tokens":[]}', "max_completion_tokens", "got array"),
        (b'{"model":"m","stream":true,"stream_options":5}', "stream_options", "got int"),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_usage":"x"}}',
            "stream_options.include_usage",
            "got str",
        ),
        (b'{"model":"m","x":%b' % (b"[" * 100_000), None, "nested too deeply"),
    ],
)
def test_a_wrong_body_is_refused_with_what_and_where(
    body: bytes, param: str | None, words: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    assert caught.value.param == param
    assert words in caught.value.message
    assert caught.value.hint


@given(st.binary())
def test_no_body_breaks_the_reader(body: bytes) -> None:
    try:
        parse(body)
    except InvalidRequest:
        return
