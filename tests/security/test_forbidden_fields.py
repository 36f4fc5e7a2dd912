"""Dangerous fields of a request: which, why, and what goes on working beside them."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.errors import InvalidRequest
from hydra_box.gateway.forbidden_fields import RULES
from hydra_box.gateway.request import parse

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "security.md"


def body(**members: Any) -> bytes:
    return json.dumps({"model": "m", **members}).encode()


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        value = {"type": "object", "properties": {"a": value}}
    return value


REFUSED: list[tuple[str, Any, str]] = [
    ("id_slot", 0, "the gateway chooses"),
    ("lora", [{"id": 0, "scale": 1.0}], "all clients of the instance share"),
    ("priority", -100, "it would overtake others"),
    ("request_id", "req-1", "all clients of the instance share"),
    ("kv_transfer_params", {"remote_host": "10.0.0.1"}, "hosts that the request names"),
    ("ec_transfer_params", {"remote_host": "10.0.0.1"}, "hosts that the request names"),
    ("vllm_xargs", {"a": 1}, "the engine's extensions"),
    ("chat_template", "{{ x }}", "a program that the engine would run"),
    ("chat_template_kwargs", {"chat_template": "x"}, "the engine's own"),
    ("chat_template_kwargs", {"tokenize": True}, "the engine's own"),
    ("chat_template_kwargs", {"a": [1]}, "no short text, number or truth"),
    ("chat_template_kwargs", {"a": "x" * 300}, "no short text, number or truth"),
    ("chat_template_kwargs", {str(n): 1 for n in range(17)}, "has 17 values"),
    ("logits_processors", ["os.system"], "names code"),
    ("prompt_embeds", "gASV", "load unchecked"),
    ("prompt_embeds", ["gASV"], "load unchecked"),
    ("mm_processor_kwargs", {"num_frames": 10**9}, "decodes media"),
    ("media_io_kwargs", {"video": {"num_frames": -1}}, "decodes media"),
    ("n_discard", -1, "writes outside"),
    ("n_discard", -1.5, "writes outside"),
    ("n_keep", -2, "-2"),
    ("n_cache_reuse", -1, "-1"),
    ("n_indent", 10**9, "spaces"),
    ("truncate_prompt_tokens", -2, "-2"),
    ("repeat_last_n", 2**31 - 1, "buffer of that size"),
    ("repeat_last_n", 10**400, "far out of range"),
    ("penalty_last_n", 2**31 - 1, "buffer of that size"),
    ("dry_penalty_last_n", 2**31 - 1, "buffer of that size"),
    ("n_probs", 100_000, "every token"),
    ("logprobs", -1, "every token"),
    ("top_logprobs", 21, "use 0 to 20"),
    ("prompt_logprobs", 1000, "every token"),
    ("repetition_detection", {"max_pattern_size": 10**6}, "after every token"),
    ("stop", ["x"] * 17, "17 entries"),
    ("stop", "x" * 1025, "1,025 characters"),
    ("stop_token_ids", [1] * 257, "257 entries"),
    ("logprob_token_ids", [1] * 129, "129 entries"),
    ("allowed_token_ids", [1] * 16_385, "16,385 entries"),
    ("bad_words", ["x"] * 257, "257 entries"),
    ("logit_bias", {str(n): 1 for n in range(1025)}, "1,025 entries"),
    ("logit_bias", [[n, 1] for n in range(1025)], "1,025 entries"),
    ("samplers", ["top_k"] * 33, "33 entries"),
    ("dry_sequence_breakers", ["x"] * 17, "17 entries"),
    ("grammar", "root ::= " + "(" * 65 + '"a"' + ")" * 65, "64 deep"),
    ("grammar", "root ::= " + "(" * 65, "64 deep"),
    ("grammar", 'root ::= "a"{1,100000}', "2,000 times"),
    ("grammar", "x" * 300_000, "300,000 bytes"),
    ("guided_grammar", "(" * 65 + ")" * 65, "64 deep"),
    ("guided_regex", "(a{1,1000}){1,1001}", "parts inside parts"),
    ("guided_regex", "a{99999999999999999999}", "2,000 times"),
    ("guided_regex", "x" * 3000, "3,000 bytes"),
    ("guided_choice", ["x"] * 1025, "1,025 entries"),
    ("json_schema", nested(65), "64 deep"),
    ("guided_json", nested(65), "64 deep"),
    ("response_format", {"type": "json_schema", "json_schema": nested(65)}, "64 deep"),
    (
        "response_format",
        {"json_schema": {"schema": {"pattern": "((a{1,1000}){1,1000}){1,1000}"}}},
        "pattern that",
    ),
    ("response_format", {"json_schema": {"schema": {"description": "x" * 300_000}}}, "bytes"),
    ("structured_outputs", {"regex": "((" * 40 + "))" * 40}, "has a regex that"),
    ("structured_outputs", {"grammar": "a{5000}"}, "has a grammar that"),
    ("structured_outputs", {"json": nested(65)}, "64 deep"),
    ("tools", [{"type": "function", "function": {"parameters": nested(65)}}], "64 deep"),
    ("functions", [{"name": "f", "parameters": nested(65)}], "64 deep"),
]


@pytest.mark.parametrize(("name", "value", "words"), REFUSED)
def test_a_dangerous_field_is_refused_and_named_with_the_reason(
    name: str, value: Any, words: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(body(**{name: value}))
    assert caught.value.param == name
    assert caught.value.message.startswith(f"{name} ")
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("members", [{"n": 5}, {"n": 2, "prompt": ["a", "b", "c"]}])
def test_the_owner_may_allow_fewer_answers(members: dict[str, Any]) -> None:
    assert parse(body(**members)).choices >= 5
    with pytest.raises(InvalidRequest) as caught:
        parse(body(**members), most_choices=4)
    assert "4" in (caught.value.hint or "")


def test_every_rule_is_tried_and_written_down() -> None:
    assert {name for name, _, _ in REFUSED} == set(RULES)
    told = set(re.findall(r"`([a-z_]+)`", DOCUMENT.read_text(encoding="utf-8")))
    assert set(RULES) <= told


@pytest.mark.parametrize(
    "members",
    [
        dict.fromkeys(RULES),
        {"id_slot": -1, "priority": 0, "lora": [], "chat_template": "", "request_id": ""},
        {"n_discard": 0, "n_keep": -1, "repeat_last_n": -1, "truncate_prompt_tokens": -1},
        {"logprobs": True, "top_logprobs": 20, "n": 4, "stop": ["\n", "END"]},
        {"logprobs": 5, "best_of": 2, "stop": "\n", "logit_bias": {"50256": -100}},
        {"chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "low"}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": nested(25)}}},
        {"response_format": {"json_schema": {"schema": {"pattern": r"^\d{4}-\d{2}-\d{2}$"}}}},
        {"structured_outputs": {"choice": ["yes", "no"]}},
        {"grammar": 'root ::= "yes" | "no"', "guided_regex": "[a-z]{1,64}"},
        {"tools": [{"function": {"description": "}{][" * 100, "parameters": nested(5)}}] * 60},
        {"tools": [{"function": {"description": '"\\}}' * 100, "parameters": nested(5)}}] * 20},
        {"temperature": 0.1, "seed": 1, "user": "u", "suffix": "x", "echo": True},
    ],
)
def test_what_is_legitimate_goes_through_as_it_came(members: dict[str, Any]) -> None:
    sent = body(**members)
    assert parse(sent).body is sent


@pytest.mark.parametrize(
    "sent",
    [
        rb'{"model":"m","n_disc\u0061rd":-1}',
        b'{"model":"m","n_discard":0,"n_discard":-1}',
        b'{"model":"m","n_discard": -1 }',
    ],
)
def test_other_spellings_of_a_field_are_the_same_field(sent: bytes) -> None:
    with pytest.raises(InvalidRequest, match="n_discard is -1"):
        parse(sent)


def test_an_escaped_key_hides_no_pattern_and_a_text_no_depth() -> None:
    pattern = json.dumps("((a{1,1000}){1,1000}){1,1000}")
    hidden = rb'{"model":"m","json_schema":{"p\u0061ttern":%b}}' % pattern.encode()
    with pytest.raises(InvalidRequest, match="pattern that"):
        parse(hidden)
    deep: Any = "end"
    for _ in range(65):
        deep = ["]", deep, "["]
    with pytest.raises(InvalidRequest, match="64 deep"):
        parse(body(json_schema={"enum": deep}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.sampled_from(sorted(RULES)), JSON)
def test_no_value_of_a_guarded_field_breaks_the_reader(name: str, value: Any) -> None:
    with suppress(InvalidRequest):
        assert parse(body(**{name: value})).model == "m"
