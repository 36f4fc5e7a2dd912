"""What is read of a body, and what is spliced into it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.errors import InvalidRequest
from hydra_box.gateway.request import ask_for_usage, parse


def test_a_plain_request_is_passed_on_as_it_came() -> None:
    body = b' {"messages": [ {"role":"user","content":"\\u00e9"} ], "model":"u-x/a","n":1} \n'
    request = parse(body)
    assert (request.model, request.stream, request.wants_usage) == ("u-x/a", False, False)
    assert request.body is body


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, {"include_usage": True}),
        ("null", {"include_usage": True}),
        ("{}", {"include_usage": True}),
        ("{ }", {"include_usage": True}),
        ('{"include_usage":false}', {"include_usage": True}),
        (
            '{ "continuous_usage_stats" : true }',
            {"continuous_usage_stats": True, "include_usage": True},
        ),
    ],
)
def test_a_stream_asks_the_engine_for_usage(options: str | None, expected: object) -> None:
    member = "" if options is None else f',"stream_options":{options}'
    body = f'{{"model":"m","stream":true{member},"messages":[1.50, "é"]}}\n'.encode()
    request = parse(body)
    assert request.stream
    assert not request.wants_usage
    assert request.body.startswith(body.rstrip()[:-1])
    assert json.loads(request.body)["stream_options"] == expected


def test_a_client_that_asks_for_usage_has_its_body_untouched() -> None:
    body = b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'
    request = parse(body)
    assert request.wants_usage
    assert request.body is body


def test_usage_is_not_asked_for_where_there_is_no_stream() -> None:
    body = b'{"model":"m","stream":false,"stream_options":{"include_usage":true}}'
    assert parse(body).body is body
    assert not parse(body).wants_usage


@settings(deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), st.none() | st.floats() | st.text(), max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(), max_size=4),
)
def test_the_splice_changes_nothing_else(
    members: dict[str, object], options: dict[str, object]
) -> None:
    members = {**members, "model": "m", "stream_options": options}
    options_bytes = json.dumps(options).encode()
    spliced = json.loads(ask_for_usage(json.dumps(members).encode(), options_bytes))
    expected = {**members, "stream_options": {**options, "include_usage": True}}
    assert json.dumps(spliced) == json.dumps(expected)


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
        (b'{"model":"m","n":-1}', "n", "n is -1"),
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


@settings(deadline=None)
@given(st.binary())
def test_no_body_breaks_the_reader(body: bytes) -> None:
    try:
        parse(body)
    except InvalidRequest:
        return
