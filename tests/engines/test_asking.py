"""What is read from an engine's answers."""

from __future__ import annotations

import json

import pytest

from hydra_box.engines.asking import check_first_answer
from hydra_box.errors import EngineError


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
