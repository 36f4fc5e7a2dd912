"""GGUF headers: the facts of good files, and an error with a fact for every other file."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.errors import HydraError, InvalidModel, NotFound
from hydra_box.models import ggml_types
from hydra_box.models.facts import read_facts
from hydra_box.models.gguf import has_pooling, projector_beside
from hydra_box.models.gguf_facts import FILE_TYPES
from hydra_box.types import (
    CacheKind,
    FactsSource,
    LayerCache,
    Modality,
    ModelFacts,
    WeightFile,
    WeightFormat,
)
from tests.models.headers import TOKENS, write_projector, write_values
from tests.models.tiny_gguf import write_tiny_embedder, write_tiny_gguf


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "tiny.gguf")


def test_facts_of_a_whole_file(tiny: Path) -> None:
    block = 4 * (4 * 32 * 32 + 3 * 64 * 32 + 2 * 32)
    cache = LayerCache(kind=CacheKind.FULL, kv_heads=2, key_length=16, value_length=16)
    assert read_facts(tiny) == ModelFacts(
        source=FactsSource.FILE,
        format=WeightFormat.GGUF,
        architecture="llama",
        modality=Modality.TEXT,
        name="Tiny",
        quantization="F32",
        parameters=37_216,
        context_length=512,
        embedding_length=32,
        feed_forward_length=64,
        heads=2,
        head_length=16,
        vocabulary_size=259,
        layers=(cache, cache),
        layer_weight_bytes=(block, block),
        input_weight_bytes=4 * 259 * 32,
        output_weight_bytes=4 * (259 * 32 + 32),
        files=(WeightFile(name="tiny.gguf", size_bytes=tiny.stat().st_size),),
        has_tokenizer=True,
        has_chat_template=True,
    )


def test_facts_follow_a_changed_file(tiny: Path) -> None:
    assert read_facts(tiny).has_chat_template
    write_tiny_gguf(tiny, chat_template=None, name="Other")
    assert (read_facts(tiny).has_chat_template, read_facts(tiny).name) == (False, "Other")


def test_tables_agree_with_the_reference_implementation() -> None:
    reference = gguf.constants.GGML_QUANT_SIZES
    assert {int(kind): size for kind, size in reference.items()} == ggml_types.BLOCKS
    names = {
        int(one): one.name.removeprefix("ALL_").removeprefix("MOSTLY_").removesuffix("_MOE")
        for one in gguf.LlamaFileType
        if one.name != "GUESSED"
    }
    assert {number: FILE_TYPES.get(number) for number in names} == names
    types = {int(one): one.name for one in gguf.GGMLQuantizationType}
    assert all(types[number] == name for name, number in ggml_types.NUMBERS.items())


def test_embedding_model_has_pooling(tmp_path: Path) -> None:
    path = tmp_path / "embedding.gguf"
    values = {"block_count": 1, "embedding_length": 32, "attention.head_count": 2}
    write_values(path, "qwen3", values)
    assert not has_pooling(path)
    assert read_facts(path).modality is Modality.TEXT
    write_values(path, "qwen3", {**values, "pooling_type": 3})
    assert has_pooling(path)
    assert read_facts(path).modality is Modality.EMBEDDING
    write_values(path, "qwen3", {**values, "pooling_type": 4})
    assert read_facts(path).modality is Modality.RERANK


def test_embedder(tmp_path: Path) -> None:
    facts = read_facts(write_tiny_embedder(tmp_path / "bert.gguf"))
    assert (facts.modality, facts.has_pooling) == (Modality.EMBEDDING, True)
    assert not facts.tied_embeddings
    assert facts.layers == (LayerCache(kind=CacheKind.NONE),)


def test_reranker_of_an_encoder(tmp_path: Path) -> None:
    path = write_values(
        tmp_path / "rerank.gguf",
        "bert",
        {"block_count": 1, "embedding_length": 32, "attention.causal": False},
        tensors={
            "token_embd.weight": (29, 32),
            "cls.weight": (32, 32),
            "cls.output.weight": (1, 32),
        },
    )
    facts = read_facts(path)
    assert facts.modality is Modality.RERANK
    assert facts.output_weight_bytes == 4 * 33 * 32


MIXTURE = {
    "block_count": 2,
    "embedding_length": 32,
    "feed_forward_length": 96,
    "attention.head_count": 2,
    "expert_count": 4,
    "expert_used_count": 2,
    "expert_feed_forward_length": 64,
}


def test_mixture_of_experts_with_tied_embeddings(tmp_path: Path) -> None:
    path = write_values(
        tmp_path / "moe.gguf",
        "qwen3moe",
        MIXTURE,
        tensors={
            "token_embd.weight": (29, 32),
            "output_norm.weight": (32,),
            "rope_freqs.weight": (16,),
            "blk.0.ffn_down_exps.weight": (4, 32, 64),
            "blk.1.attn_norm.weight": (32,),
        },
    )
    facts = read_facts(path)
    assert (facts.experts, facts.experts_used, facts.expert_feed_forward_length) == (4, 2, 64)
    assert facts.feed_forward_length == 96
    assert facts.tied_embeddings
    assert facts.layer_weight_bytes == (4 * 4 * 32 * 64, 4 * 32)
    assert facts.other_weight_bytes == 4 * 16
    assert facts.vocabulary_size == len(TOKENS)


def test_blocks_that_are_not_loaded_weigh_nothing(tmp_path: Path) -> None:
    path = write_values(
        tmp_path / "mtp.gguf",
        "glm4moe",
        {**MIXTURE, "nextn_predict_layers": 1},
        tensors={"blk.0.attn_norm.weight": (32,), "blk.1.nextn.eh_proj.weight": (32, 64)},
    )
    assert read_facts(path).layer_weight_bytes == (128, 0)


def test_image_model(tmp_path: Path) -> None:
    path = write_values(tmp_path / "flux.gguf", "flux", {}, tensors={"img_in.weight": (8, 8)})
    facts = read_facts(path)
    assert (facts.modality, facts.layers, facts.weight_bytes) == (Modality.IMAGE, (), 256)


def test_publishers_own_mixture_is_told_by_the_name(tmp_path: Path) -> None:
    general = {"general.file_type": 15}
    values = {key: one for key, one in MIXTURE.items() if "expert" not in key}
    own = write_values(tmp_path / "Model-UD-Q4_K_XL.gguf", "qwen3", values, general=general)
    assert read_facts(own).quantization == "UD-Q4_K_XL"
    renamed = write_values(tmp_path / "Model-Q8_0.gguf", "qwen3", values, general=general)
    assert read_facts(renamed).quantization == "Q4_K_M"


def test_projector_beside_makes_a_vision_model(tiny: Path) -> None:
    assert projector_beside(tiny) is None
    write_projector(tiny.with_name("mmproj-other.gguf"), 64)
    tiny.with_name("mmproj-broken-f16.gguf").write_bytes(b"GGUF")
    assert read_facts(tiny).modality is Modality.TEXT
    write_projector(tiny.with_name("mmproj-BF16.gguf"), 32)
    projector = write_projector(tiny.with_name("mmproj-F16.gguf"), 32)
    facts = read_facts(tiny)
    assert projector_beside(tiny) == projector
    assert (facts.modality, facts.projector_bytes) == (Modality.VISION, projector.stat().st_size)
    assert facts.files[-1] == WeightFile(
        name="mmproj-F16.gguf", size_bytes=projector.stat().st_size
    )


def test_projector_itself_is_no_model(tmp_path: Path) -> None:
    path = write_projector(tmp_path / "mmproj.gguf", 32)
    assert "a part for other models (mmproj)" in error_of(path).message


def write_header(path: Path, *values: tuple[str, object], tensors: int = 0) -> Path:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    content = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(values))
    for key, value in values:
        content += text(key)
        content += (
            struct.pack("<II", 4, value)
            if isinstance(value, int)
            else struct.pack("<I", 8) + text(str(value))
        )
    path.write_bytes(content)
    return path


def patched(path: Path, offset: int, content: bytes) -> Path:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)
    return path


def error_of(path: Path) -> HydraError:
    with pytest.raises(HydraError) as caught:
        read_facts(path)
    assert caught.value.hint
    assert caught.value.param == "model"
    return caught.value


def test_missing_file(tmp_path: Path) -> None:
    error = error_of(tmp_path / "no" / "such.gguf")
    assert type(error) is NotFound
    assert "such.gguf" in error.message


def test_directory_names_the_files_in_it(tiny: Path) -> None:
    error = error_of(tiny.parent)
    assert error.message == f"{tiny.parent} is a directory"
    assert error.hint == "it holds tiny.gguf"


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "not a regular file" in error_of(tmp_path / "pipe.gguf").message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_that_may_not_be_read(tiny: Path) -> None:
    tiny.chmod(0)
    assert "cannot be read: Permission denied" in error_of(tiny).message


def test_name_that_no_file_can_have() -> None:
    assert "cannot be read" in error_of(Path("/a\0b.gguf")).message
    assert "cannot be read: File name too long" in error_of(Path("/" + "x" * 300)).message


TENSOR = struct.pack("<Q", 1) + b"t" + struct.pack("<IQIQ", 1, 2**60, 0, 0)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "it has only 0 bytes"),
        (b"PK\x03\x04" + b"\0" * 100, "it starts with b'PK\\x03\\x04' instead of b'GGUF'"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "it is of version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "it is big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), "claims 9,223,372,036,854,775,808 keys"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**40, 0), "claims 1,099,511,627,776 tensors"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**50), "a text in its header claims"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 100), "asks for 100 bytes at 32, where 0"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "it names no architecture"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + TENSOR, "a tensor in it has 1,152,921,504"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, content: bytes, fact: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    error = error_of(path)
    assert type(error) is InvalidModel
    assert fact in error.message


KEY = struct.pack("<Q", 1) + b"k"


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        (struct.pack("<I", 99), "unknown type 99"),
        (struct.pack("<IIQ", 9, 99, 1), "elements of the unknown type 99"),
        (struct.pack("<IIQ", 9, 9, 1), "elements of the unknown type 9"),
        (struct.pack("<IIQ", 9, 0, 2**62), "asks for 4,611,686,018,427,387,904 bytes"),
        (struct.pack("<IIQ", 9, 8, 2**62), "claims 4,611,686,018,427,387,904 texts"),
        (struct.pack("<IIQQ", 9, 8, 1, 2**62), "a text in its header claims"),
    ],
)
def test_values_that_lie_about_their_length(tmp_path: Path, value: bytes, fact: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + KEY + value)
    assert fact in error_of(path).message


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_truncated_file_says_how_much_is_missing(tiny: Path, kept: float) -> None:
    whole = tiny.stat().st_size
    os.truncate(tiny, int(whole * kept))
    error = error_of(tiny)
    assert "truncated" in error.message or "where" in error.message
    if kept > 0.2:
        assert f"{whole - int(whole * kept):,} are missing" in error.message


def test_part_for_other_models_is_not_a_model(tmp_path: Path) -> None:
    path = write_header(tmp_path / "mmproj.gguf", ("general.type", "mmproj"))
    assert "a part for other models (mmproj)" in error_of(path).message


def test_model_without_a_context_length(tmp_path: Path) -> None:
    path = write_header(tmp_path / "x.gguf", ("general.architecture", "llama"))
    assert "it has no llama.context_length" in error_of(path).message


@pytest.mark.parametrize("alignment", [0, 24, 2**31 + 1])
def test_impossible_alignment(tmp_path: Path, alignment: int) -> None:
    path = write_header(tmp_path / "x.gguf", ("general.alignment", alignment))
    assert f"its alignment is {alignment}" in error_of(path).message


SPLIT = (
    ("general.architecture", "llama"),
    ("llama.context_length", 64),
    ("llama.block_count", 1),
    ("split.count", 2),
)


def test_split_model_is_summed_up(tmp_path: Path) -> None:
    first = write_header(tmp_path / "m-00001-of-00002.gguf", *SPLIT)
    second = write_header(tmp_path / "m-00002-of-00002.gguf", ("split.count", 2))
    facts = read_facts(first)
    assert [one.name for one in facts.files] == [first.name, second.name]
    assert facts.size_bytes == first.stat().st_size + second.stat().st_size


def test_facts_follow_every_part(tmp_path: Path) -> None:
    first = write_header(tmp_path / "m-00001-of-00002.gguf", *SPLIT)
    second = write_header(tmp_path / "m-00002-of-00002.gguf", ("split.count", 2))
    before = read_facts(first).size_bytes
    second.write_bytes(second.read_bytes() + bytes(64))
    assert read_facts(first).size_bytes == before + 64


def test_split_model_needs_all_its_parts_and_the_first_is_given(tmp_path: Path) -> None:
    first = write_header(tmp_path / "m-00001-of-00002.gguf", *SPLIT)
    assert "m-00002-of-00002.gguf" in error_of(first).message
    second = write_header(tmp_path / "m-00002-of-00002.gguf", *SPLIT)
    assert error_of(second).hint == f"give the first part: {first}"
    renamed = write_header(tmp_path / "renamed.gguf", *SPLIT)
    assert "one part of a model in 2 files" in error_of(renamed).message


@settings(max_examples=200)
@given(data=st.data())
def test_flipped_bytes_never_do_worse_than_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = write_tiny_gguf(tmp_path_factory.mktemp("flip") / "tiny.gguf")
    header_bytes = 6_000
    for _ in range(data.draw(st.integers(1, 4))):
        offset = data.draw(st.integers(0, header_bytes))
        patched(path, offset, data.draw(st.binary(min_size=1, max_size=8)))
    with contextlib.suppress(InvalidModel, NotFound):
        read_facts(path)
