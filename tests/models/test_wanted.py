"""Which files of a repository are fetched, and which never are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hydra_box.errors import DownloadFailed
from hydra_box.models.facts import read_facts
from hydra_box.models.wanted import path_of, wanted_files
from hydra_box.types import ModelFacts, WeightFormat
from tests.models.tiny_gguf import write_tiny_gguf
from tests.models.tiny_safetensors import write_model

DIGEST = "0123456789abcdef" * 4


def names(facts: ModelFacts, *there: str, allows_code: bool = False) -> list[str]:
    every = {*there, *(one.name for one in facts.files)}
    sizes = dict.fromkeys(every, 10)
    digests = dict.fromkeys(every, DIGEST)
    found = wanted_files(facts, sizes, digests, allows_code=allows_code)
    assert all((one.size_bytes, one.digest) == (10, DIGEST) for one in found)
    return [one.name for one in found]


@pytest.fixture
def safetensors(tmp_path: Path) -> ModelFacts:
    return read_facts(write_model(tmp_path / "model"))


def test_of_gguf_the_model_alone(tmp_path: Path) -> None:
    facts = read_facts(write_tiny_gguf(tmp_path / "tiny-F32.gguf"))
    assert names(facts, "tiny-Q8_0.gguf", "config.json", "README.md", "x.py") == ["tiny-F32.gguf"]


def test_of_safetensors_weights_configuration_and_tokenizer(safetensors: ModelFacts) -> None:
    beside = (
        *("config.json", "tokenizer.json", "merges.txt", "tokenizer.model", "chat_template.jinja"),
        *("model.safetensors.index.json", "qwen.tiktoken", "1_Pooling/config.json"),
    )
    never = (
        *("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "weights.pkl"),
        *("README.md", ".gitattributes", "LICENSE", "original/params.json", "onnx/config.json"),
        *("modeling_x.py", "other.gguf", "figure.png"),
    )
    found = names(safetensors, *beside, *never)
    assert found[: len(safetensors.files)] == [one.name for one in safetensors.files]
    assert sorted(found[len(safetensors.files) :]) == sorted(beside)


def test_code_only_where_its_owner_says_so(safetensors: ModelFacts) -> None:
    code = ("modeling_x.py", "sub/helper.py", "setup.bin")
    assert "modeling_x.py" not in names(safetensors, *code)
    allowed = names(safetensors, *code, allows_code=True)
    assert {"modeling_x.py", "sub/helper.py"} <= set(allowed)
    assert "setup.bin" not in allowed


def test_a_file_without_a_checksum_is_not_fetched(safetensors: ModelFacts) -> None:
    sizes: dict[str, Any] = dict.fromkeys((one.name for one in safetensors.files), 10)
    with pytest.raises(DownloadFailed, match=r"no checksum of model\.safetensors"):
        wanted_files(safetensors, sizes, {}, allows_code=False)


def test_where_an_engine_finds_it(tmp_path: Path, safetensors: ModelFacts) -> None:
    facts = read_facts(write_tiny_gguf(tmp_path / "tiny-F32.gguf"))
    sizes, digests = {"tiny-F32.gguf": 1}, {"tiny-F32.gguf": DIGEST}
    files = wanted_files(facts, sizes, digests, allows_code=False)
    assert path_of(tmp_path, WeightFormat.GGUF, files) == tmp_path / "tiny-F32.gguf"
    assert path_of(tmp_path, WeightFormat.SAFETENSORS, files) == tmp_path
