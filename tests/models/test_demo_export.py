"""The demo model's safetensors directory is what the script makes of its GGUF file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from export_demo_model import DEFAULT_GGUF, export
from safetensors.numpy import load_file

from hydra_box.engines.verify import DEMO_SAFETENSORS
from hydra_box.models.facts import read_facts
from hydra_box.types import Modality, WeightFormat


def test_committed_export_is_that_of_the_committed_gguf(tmp_path: Path) -> None:
    export(DEFAULT_GGUF, tmp_path, "float16")
    made = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    committed = {one.name: one.read_bytes() for one in DEMO_SAFETENSORS.iterdir()}
    assert made == committed


def test_weights_are_rounded_by_float16_and_no_more(tmp_path: Path) -> None:
    export(DEFAULT_GGUF, tmp_path, "float32")
    exact = load_file(tmp_path / "model.safetensors")
    half = load_file(DEMO_SAFETENSORS / "model.safetensors")
    assert half.keys() == exact.keys()
    for name, values in half.items():
        assert values.dtype == np.float16
        np.testing.assert_array_equal(values, exact[name].astype(np.float16), err_msg=name)
        assert np.isfinite(values).all()


def test_both_demo_models_are_one_model() -> None:
    gguf, safetensors = read_facts(DEFAULT_GGUF), read_facts(DEMO_SAFETENSORS)
    assert safetensors.format is WeightFormat.SAFETENSORS
    assert safetensors.modality is Modality.TEXT
    assert safetensors.has_chat_template
    assert safetensors.has_tokenizer
    assert (safetensors.context_length, safetensors.parameters) == (
        gguf.context_length,
        gguf.parameters,
    )
    assert safetensors.layers == gguf.layers


def test_export_is_small_and_says_its_type() -> None:
    assert sum(one.stat().st_size for one in DEMO_SAFETENSORS.iterdir()) < 6_000_000
    config = json.loads((DEMO_SAFETENSORS / "config.json").read_text(encoding="utf-8"))
    assert config["torch_dtype"] == "float16"
