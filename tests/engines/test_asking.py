"""What is read from an engine's answers."""

from __future__ import annotations

import json

import pytest

from hydra_box.engines.asking import check_first_answer, parse_metrics
from hydra_box.errors import EngineError


def test_metrics_are_summed_over_their_labels() -> None:
    text = (
        "# HELP vllm:num_requests_running Number of requests\n"
        "# TYPE vllm:num_requests_running gauge\n"
        'vllm:num_requests_running{engine="0",model_name="public/a b"} 2.0\n'
        'vllm:num_requests_running{engine="1",model_name="public/a b"} 1.0\n'
        "llamacpp:requests_deferred 4\n"
        "\n"
        "nonsense\n"
    )
    assert parse_metrics(text) == {
        "vllm:num_requests_running": 3.0,
        "llamacpp:requests_deferred": 4.0,
    }


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<html>", "is not understood"),
        (b'{"model": "public/x"}', "is empty"),
        (b'{"model": "public/y", "choices": [{}]}', "serves 'public/y', not 'public/x'"),
    ],
)
def test_wrong_first_answers_are_errors(answer: bytes, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        check_first_answer(answer, "public/x")


def test_text_embedding_and_score_are_answers() -> None:
    for part in ({"choices": [{"text": "x"}]}, {"data": [{"embedding": [0.1]}]}):
        check_first_answer(json.dumps({"model": "public/x", **part}).encode(), "public/x")
