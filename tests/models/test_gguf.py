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
from hydra_box.models import gguf_header
from hydra_box.models.gguf import FILE_TYPES, GgufFacts, has_pooling, read_facts
from tests.models.tiny_gguf import write_tiny_gguf


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "tiny.gguf")


def test_facts_of_a_whole_file(tiny: Path) -> None:
    assert read_facts(tiny) == GgufFacts(
        architecture="llama",
        name="Tiny",
        context_length=512,
        parameters=37_216,
        size_bytes=tiny.stat().st_size,
        quantization="F32",
        has_chat_template=True,
        has_pooling=False,
    )


def test_facts_follow_a_changed_file(tiny: Path) -> None:
    assert read_facts(tiny).has_chat_template
    write_tiny_gguf(tiny, chat_template=None, name="Other")
    assert (read_facts(tiny).has_chat_template, read_facts(tiny).name) == (False, "Other")


def test_tables_agree_with_the_reference_implementation() -> None:
    reference = gguf.constants.GGML_QUANT_SIZES
    assert {int(kind): size for kind, size in reference.items()} == gguf_header.BLOCKS
    names = {
        int(one): one.name.removeprefix("ALL_").removeprefix("MOSTLY_").removesuffix("_MOE")
        for one in gguf.LlamaFileType
        if one.name != "GUESSED"
    }
    assert {number: FILE_TYPES.get(number) for number in names} == names


def test_embedding_model_has_pooling(tmp_path: Path) -> None:
    path = tmp_path / "embedding.gguf"
    write_header(path, ("general.architecture", "bert"), ("bert.context_length", 512))
    assert not has_pooling(path)
    write_header(
        path,
        ("general.architecture", "bert"),
        ("bert.context_length", 512),
        ("bert.pooling_type", 1),
    )
    assert has_pooling(path)


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
    ("split.count", 2),
)


def test_split_model_is_summed_up(tmp_path: Path) -> None:
    first = write_header(tmp_path / "m-00001-of-00002.gguf", *SPLIT)
    second = write_header(tmp_path / "m-00002-of-00002.gguf", ("split.count", 2))
    facts = read_facts(first)
    assert facts.size_bytes == first.stat().st_size + second.stat().st_size


def test_split_model_needs_all_its_parts_and_the_first_is_given(tmp_path: Path) -> None:
    first = write_header(tmp_path / "m-00001-of-00002.gguf", *SPLIT)
    assert "m-00002-of-00002.gguf" in error_of(first).message
    second = write_header(tmp_path / "m-00002-of-00002.gguf", *SPLIT)
    assert error_of(second).hint == f"give the first part: {first}"
    renamed = write_header(tmp_path / "renamed.gguf", *SPLIT)
    assert "one part of a model in 2 files" in error_of(renamed).message


@settings(max_examples=200, deadline=None)
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
