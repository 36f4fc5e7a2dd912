"""Directories of safetensors: the facts of good ones, and a clear refusal of all others."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.catalog.specs import spec_of_files
from hydra_box.errors import HydraError, InvalidModel, NotFound
from hydra_box.models.facts import read_facts
from hydra_box.models.safetensors_header import BITS
from hydra_box.models.wanted import without_code
from hydra_box.types import CacheKind, FactsSource, LayerCache, Modality, WeightFile, WeightFormat
from tests.models.tiny_safetensors import (
    CONFIG,
    LAYERS,
    VOCABULARY,
    WIDTH,
    language_tensors,
    write_json,
    write_model,
)

LAYER_BYTES = 2 * (WIDTH + 4 * 32 * WIDTH - 2 * 16 * WIDTH + 64 * WIDTH)
EMBEDDING_BYTES = 2 * VOCABULARY * WIDTH


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny")


def error_of(path: Path) -> HydraError:
    with pytest.raises(HydraError) as caught:
        read_facts(path)
    assert caught.value.param == "model"
    return caught.value


def test_facts_of_a_whole_model(tiny: Path) -> None:
    facts = read_facts(tiny)
    cache = LayerCache(kind=CacheKind.FULL, kv_heads=2, key_length=8, value_length=8)
    assert (facts.source, facts.format) == (FactsSource.FILE, WeightFormat.SAFETENSORS)
    assert (facts.architecture, facts.quantization) == ("Qwen3ForCausalLM", "F16")
    assert (facts.modality, facts.has_pooling) == (Modality.TEXT, False)
    assert (facts.context_length, facts.vocabulary_size) == (512, VOCABULARY)
    assert (facts.embedding_length, facts.heads, facts.head_length) == (WIDTH, 4, 8)
    assert facts.layers == (cache,) * LAYERS
    assert facts.layer_weight_bytes == (LAYER_BYTES,) * LAYERS
    assert facts.input_weight_bytes == EMBEDDING_BYTES
    assert facts.output_weight_bytes == EMBEDDING_BYTES + 2 * WIDTH
    assert facts.other_weight_bytes == 0
    assert facts.parameters == facts.weight_bytes // 2
    assert not facts.tied_embeddings
    assert facts.has_tokenizer
    assert facts.has_chat_template
    size = (tiny / "model.safetensors").stat().st_size
    assert facts.files == (WeightFile(name="model.safetensors", size_bytes=size),)


def test_shards_are_summed_up(tiny: Path, tmp_path: Path) -> None:
    sharded = write_model(tmp_path / "sharded", shards=3)
    facts, whole = read_facts(sharded), read_facts(tiny)
    assert len(facts.files) == 3
    assert facts.layer_weight_bytes == whole.layer_weight_bytes
    assert facts.weight_bytes == whole.weight_bytes


def test_facts_follow_a_changed_file(tiny: Path) -> None:
    assert read_facts(tiny).context_length == 512
    write_json(tiny / "config.json", {**CONFIG, "max_position_embeddings": 1024})
    assert read_facts(tiny).context_length == 1024


def test_tied_embeddings(tmp_path: Path) -> None:
    shapes = language_tensors()
    del shapes["lm_head.weight"]
    facts = read_facts(write_model(tmp_path / "without", tensors=shapes))
    assert facts.tied_embeddings
    assert facts.output_weight_bytes == 2 * WIDTH
    # A copy of the embedding in the file is not loaded when the configuration says tied.
    copied = write_model(tmp_path / "copied", config={"tie_word_embeddings": True})
    assert read_facts(copied).output_weight_bytes == 2 * WIDTH


def test_vision_tower_is_apart_from_the_layers(tmp_path: Path) -> None:
    config = {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "text_config": {**CONFIG, "model_type": "qwen3_vl_text"},
        "vision_config": {"depth": 2, "hidden_size": 16},
    }
    shapes = {
        **language_tensors("model.language_model."),
        "model.visual.blocks.0.attn.qkv.weight": (48, 16),
        "model.visual.merger.mlp.0.weight": (16, 16),
    }
    facts = read_facts(write_model(tmp_path / "vision", config=config, tensors=shapes))
    assert facts.modality is Modality.VISION
    assert facts.layer_weight_bytes == (LAYER_BYTES,) * LAYERS
    assert facts.other_weight_bytes == 2 * (48 * 16 + 16 * 16)


@pytest.mark.parametrize("name", [f"model.layers.{LAYERS}.eh_proj.weight", "mtp.fc.weight"])
def test_tensors_that_no_engine_loads_weigh_nothing(tmp_path: Path, name: str) -> None:
    shapes = {**language_tensors(), name: (WIDTH, 2 * WIDTH)}
    facts = read_facts(write_model(tmp_path / "ahead", tensors=shapes))
    assert facts.layer_weight_bytes == (LAYER_BYTES,) * LAYERS
    assert facts.other_weight_bytes == 0
    assert facts.size_bytes > facts.weight_bytes + 2 * 2 * WIDTH * WIDTH


def test_embedder_of_sentence_transformers(tmp_path: Path) -> None:
    shapes = {
        key.removeprefix("model."): shape
        for key, shape in language_tensors().items()
        if key != "lm_head.weight"
    }
    directory = write_model(tmp_path / "embedder", tensors=shapes)
    write_json(directory / "modules.json", [])
    facts = read_facts(directory)
    assert (facts.modality, facts.has_pooling) == (Modality.EMBEDDING, True)
    assert facts.layer_weight_bytes == (LAYER_BYTES,) * LAYERS


ENCODER = {
    "model_type": "xlm-roberta",
    "architectures": ["XLMRobertaModel"],
    "type_vocab_size": 1,
    "pad_token_id": 1,
}


def test_encoder(tmp_path: Path) -> None:
    shapes = {
        "embeddings.word_embeddings.weight": (VOCABULARY, WIDTH),
        "encoder.layer.0.attention.self.query.weight": (WIDTH, WIDTH),
        "pooler.dense.weight": (WIDTH, WIDTH),
    }
    facts = read_facts(write_model(tmp_path / "encoder", config=ENCODER, tensors=shapes))
    assert facts.modality is Modality.EMBEDDING
    assert facts.layers == (LayerCache(kind=CacheKind.NONE),) * LAYERS
    assert not facts.tied_embeddings
    assert facts.context_length == 510
    assert facts.layer_weight_bytes == (2 * WIDTH * WIDTH, 0)


def test_reranker(tmp_path: Path) -> None:
    config = {**ENCODER, "architectures": ["XLMRobertaForSequenceClassification"]}
    shapes = {
        "roberta.encoder.layer.1.output.dense.weight": (WIDTH, WIDTH),
        "classifier.dense.weight": (WIDTH, WIDTH),
    }
    facts = read_facts(write_model(tmp_path / "reranker", config=config, tensors=shapes))
    assert (facts.modality, facts.has_pooling) == (Modality.RERANK, True)
    assert facts.layer_weight_bytes == (0, 2 * WIDTH * WIDTH)
    assert facts.output_weight_bytes == 2 * WIDTH * WIDTH


@pytest.mark.parametrize(
    ("quantization", "name"),
    [
        ({"quant_method": "awq", "bits": 4}, "AWQ"),
        ({"quant_method": "gptq", "bits": 4}, "GPTQ"),
        ({"quant_method": "fp8"}, "FP8"),
        ({"quant_method": "mxfp4"}, "MXFP4"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "BNB-4BIT"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "BNB-8BIT"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "NVFP4"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}},
            },
            "FP8",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int"}}},
            },
            "INT4",
        ),
        (
            {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"},
            "NVFP4",
        ),
        ({"quant_method": "something-new"}, None),
    ],
)
def test_quantization(tmp_path: Path, quantization: dict[str, object], name: str | None) -> None:
    directory = write_model(tmp_path / "model", config={"quantization_config": quantization})
    assert read_facts(directory).quantization == name


def test_packed_weights_are_counted_as_weights(tmp_path: Path) -> None:
    at = "model.layers.0.mlp.up_proj."
    directory = write_model(
        tmp_path / "gptq",
        config={"quantization_config": {"quant_method": "gptq", "bits": 4}},
        tensors={f"{at}qweight": (8, 64), f"{at}scales": (1, 64), f"{at}g_idx": (64,)},
        dtypes={f"{at}qweight": "int32", f"{at}g_idx": "int32"},
    )
    facts = read_facts(directory)
    assert facts.parameters == 64 * 64
    assert facts.layer_weight_bytes[0] == 4 * 8 * 64 + 2 * 64 + 4 * 64
    at = "model.layers.0.mlp.experts.gate_up_proj_"
    directory = write_model(
        tmp_path / "mxfp4",
        config={"quantization_config": {"quant_method": "mxfp4"}},
        tensors={f"{at}blocks": (2, 64, 16), f"{at}scales": (2, 64)},
        dtypes={f"{at}blocks": "uint8", f"{at}scales": "uint8"},
    )
    assert read_facts(directory).parameters == 2 * 64 * 32


def test_pipeline_that_makes_images(tmp_path: Path) -> None:
    for part in ("unet", "vae"):
        write_model(tmp_path / part, tensors={"w": (8, 8)})
        (tmp_path / part / "model.safetensors").rename(
            tmp_path / part / "diffusion_pytorch_model.safetensors"
        )
    write_model(tmp_path / "unet", tensors={"w": (8, 8)})
    (tmp_path / "unet" / "model.safetensors").rename(tmp_path / "unet" / "m.fp16.safetensors")
    write_json(tmp_path / "model_index.json", {"_class_name": "StableDiffusionPipeline"})
    facts = read_facts(tmp_path)
    assert (facts.modality, facts.architecture) == (Modality.IMAGE, "StableDiffusionPipeline")
    assert (facts.layers, facts.weight_bytes) == ((), 2 * 2 * 64)


def test_pickles_are_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", CONFIG)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    error = error_of(tmp_path)
    assert "pickle files only, and those can run any code" in error.message
    assert error.hint == "look for the same model in safetensors or GGUF"


def test_code_of_the_repository_is_refused(tmp_path: Path) -> None:
    config = {"model_type": "mystery", "auto_map": {"AutoModel": "modeling.Mystery"}}
    spec = spec_of_files("m", "m", (write_model(tmp_path / "own-code", config=config),))
    assert spec.offers[0].facts.needs_code
    with pytest.raises(InvalidModel, match=r"needs Python code of its own \(auto_map") as caught:
        without_code(spec)
    assert "it can read, change and send away all that this user can" in str(caught.value.hint)
    # A family that engines know does not need the code that its repository also has.
    known = write_model(tmp_path / "known", config={"auto_map": {"AutoModel": "x.Y"}})
    assert read_facts(known).architecture == "Qwen3ForCausalLM"


def test_other_things_than_models(tmp_path: Path) -> None:
    assert "there is no" in error_of(tmp_path / "nothing").message
    assert "has no config.json" in error_of(tmp_path).message
    write_json(tmp_path / "config.json", CONFIG)
    assert "no file of weights" in error_of(tmp_path).message
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    assert "an adapter (LoRA)" in error_of(tmp_path).message


def test_one_file_of_a_model(tiny: Path) -> None:
    assert error_of(tiny / "model.safetensors").hint == f"give the directory: {tiny}"


def test_missing_shard(tmp_path: Path) -> None:
    directory = write_model(tmp_path / "sharded", shards=3)
    (directory / "model-00002-of-00003.safetensors").unlink()
    error = error_of(directory)
    assert type(error) is NotFound
    assert "lacks 1 of 3 files of weights, first model-00002-of-00003.safetensors" in error.message


@pytest.mark.parametrize("where", ["../../x.safetensors", "/etc/x.safetensors", "x.bin", 7])
def test_index_that_leads_elsewhere(tmp_path: Path, where: object) -> None:
    directory = write_model(tmp_path / "sharded", shards=2)
    write_json(directory / "model.safetensors.index.json", {"weight_map": {"a": where}})
    assert "names no files of weights here" in error_of(directory).message


def test_truncated_file_says_how_much_is_missing(tiny: Path) -> None:
    file = tiny / "model.safetensors"
    os.truncate(file, file.stat().st_size - 1000)
    assert "it is truncated: 1,000 bytes are missing" in error_of(tiny).message


def entry(**change: object) -> bytes:
    tensor = {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8], **change}
    return json.dumps({"t": tensor}).encode()


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "it has only 0 bytes"),
        (struct.pack("<Q", 2**62) + b"{}", "its header claims 4,611,686,018,427,387,904 bytes"),
        (struct.pack("<Q", 100) + b"{}", "its header claims 100 bytes of 10"),
        (b"[]", "not what the format says"),
        (b"{" * 5000, "not what the format says"),
        (b'{"t": 1}', "not what the format says"),
        (b'{"t": {"dtype": "F16"}}', "not what the format says"),
        (entry(data_offsets=[8, 0]), "lies at 8 to 0"),
        (entry(data_offsets=[-8, 0]), "lies at -8 to 0"),
        (entry(data_offsets=[0, 2**60]), "bytes are missing"),
        (entry(shape=[2, -2]), "an impossible shape"),
        (entry(shape=[1] * 20), "an impossible shape"),
        (entry(shape=[2**62, 2**62]), "has 8 bytes for its shape"),
    ],
)
def test_headers_that_lie(tiny: Path, content: bytes, fact: str) -> None:
    if content[:1] in (b"[", b"{"):
        content = struct.pack("<Q", len(content)) + content + bytes(8)
    (tiny / "model.safetensors").write_bytes(content)
    error = error_of(tiny)
    assert type(error) is InvalidModel
    assert fact in error.message


def test_unknown_element_type_is_counted_by_its_bytes(tiny: Path) -> None:
    content = json.dumps(
        {"model.layers.0.x": {"dtype": "F2", "shape": [2**62], "data_offsets": [0, 8]}}
    ).encode()
    file = tiny / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(content)) + content + bytes(8))
    facts = read_facts(tiny)
    assert facts.layer_weight_bytes == (8, 0)
    assert facts.parameters <= 64


def test_element_types_of_the_reference_implementation(tmp_path: Path) -> None:
    known = {"bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "float16": "F16"}
    known |= {"int32": "I32", "float32": "F32", "float64": "F64", "int64": "I64"}
    shapes = {f"model.layers.0.{one}": (2, 8) for one in known}
    directory = write_model(
        tmp_path / "types", tensors=shapes, dtypes={f"model.layers.0.{one}": one for one in known}
    )
    sizes = [BITS[name] * 16 // 8 for name in known.values()]
    assert read_facts(directory).layer_weight_bytes == (sum(sizes), 0)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_broken_json(tiny: Path, name: str, content: bytes) -> None:
    (tiny / name).write_bytes(content)
    assert f"{tiny / name} is not what it should be" in error_of(tiny).message


@settings(max_examples=200)
@given(data=st.data())
def test_flipped_bytes_never_do_worse_than_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = write_model(tmp_path_factory.mktemp("flip") / "tiny")
    name = data.draw(st.sampled_from(["model.safetensors", "config.json"]))
    content = bytearray((directory / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        offset = data.draw(st.integers(0, min(len(content), 2000) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        content[offset : offset + len(piece)] = piece
    (directory / name).write_bytes(bytes(content))
    with contextlib.suppress(InvalidModel, NotFound):
        read_facts(directory)
