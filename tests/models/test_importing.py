"""Files that become a model: where they lie, by links, or as copies; whole, or not at all."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.errors import (
    DiskFull,
    HydraError,
    InvalidModel,
    InvalidRequest,
    NotFound,
    StateError,
)
from hydra_box.models.copying import copy_files
from hydra_box.models.facts import read_facts
from hydra_box.models.import_source import Source, read_source
from hydra_box.models.importing import Way, discard, finish, settle, take
from hydra_box.models.stored_names import check_name, free_name, hub_name, name_from
from hydra_box.stoppable import Stopped
from hydra_box.types import Modality, StoredAs, StoredModel, WeightFormat
from tests.models.headers import write_projector
from tests.models.other_stores import (
    COMMIT,
    files_in,
    hub_digest,
    hub_snapshot,
    ollama_blob,
    ollama_model,
    sha256,
)
from tests.models.test_gguf import SPLIT, write_header
from tests.models.tiny_gguf import write_tiny_gguf
from tests.models.tiny_safetensors import write_json, write_model

DEMO_DIRECTORY = DEMO_MODEL.parent / "hydra-box-demo-hf"
MUCH = 2**60


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "tiny").mkdir()
    return write_tiny_gguf(tmp_path / "tiny" / "tiny.gguf")


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    return tmp_path / "imported"


@pytest.fixture
def taking(tmp_path: Path, imported: Path) -> Taking:
    return Taking(imported, tmp_path / "cache")


class Taking:
    """Takes models in as the library does, without its rows."""

    def __init__(self, imported: Path, cache: Path) -> None:
        self.imported = imported
        self.cache = cache
        self.stop = threading.Event()

    def __call__(
        self,
        path: Path,
        name: str = "m",
        *,
        copies: bool = False,
        projector: Path | None = None,
        reserve_bytes: int = 0,
    ) -> StoredModel:
        row = self.make(
            read_source(path, projector), name, copies=copies, reserve_bytes=reserve_bytes
        )
        finish(self.imported, name)
        return row

    def make(
        self, source: Source, name: str, *, copies: bool, reserve_bytes: int = 0
    ) -> StoredModel:
        way = Way(
            copies=copies, imported=self.imported, cache=self.cache, reserve_bytes=reserve_bytes
        )
        return take(source, name, way, now=1.0, stop=self.stop)

    def left(self) -> list[str]:
        """What is in the directory of imported models."""
        return names_in(self.imported) if self.imported.exists() else []


def names_in(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.iterdir())


def sizes(row: StoredModel) -> dict[str, int]:
    return {one.name: one.size_bytes for one in row.files}


# --- by reference ---------------------------------------------------------------


def test_a_file_with_a_proper_name_stays_where_it_is(taking: Taking, tiny: Path) -> None:
    row = taking(tiny, "tiny")
    assert (row.name, row.stored_as, row.path) == ("tiny", StoredAs.REFERENCE, str(tiny))
    assert (row.format, row.quantization, row.added_at) == (WeightFormat.GGUF, "F32", 1.0)
    assert (row.repository, row.revision, row.verified_at) == (None, None, None)
    assert sizes(row) == {"tiny.gguf": tiny.stat().st_size}
    assert row.files[0].digest is None
    assert taking.left() == []


def test_a_directory_of_safetensors_stays_where_it_is(taking: Taking) -> None:
    row = taking(DEMO_DIRECTORY, "demo")
    assert (row.stored_as, row.path) == (StoredAs.REFERENCE, str(DEMO_DIRECTORY))
    assert row.files[0].name == "model.safetensors"
    assert sizes(row) == {
        name: path.stat().st_size for name, path in files_in(DEMO_DIRECTORY).items()
    }


def test_a_projector_beside_its_model_stays_there(taking: Taking, tiny: Path) -> None:
    projector = write_projector(tiny.with_name("mmproj-tiny.gguf"), 32)
    for row in (taking(tiny), taking(tiny, projector=projector)):
        assert row.path == str(tiny)
        assert list(sizes(row)) == ["tiny.gguf", "mmproj-tiny.gguf"]
    assert taking.left() == []


def test_a_blob_gets_a_link_with_a_name_that_engines_know(
    taking: Taking, imported: Path, tiny: Path, tmp_path: Path
) -> None:
    blob = ollama_model(tmp_path / "ollama", "tiny:latest", model=tiny)
    row = taking(blob, "llama3")
    link = imported / "llama3" / "llama3.gguf"
    assert (row.stored_as, row.path) == (StoredAs.REFERENCE, str(link))
    assert link.is_symlink()
    assert link.samefile(blob)
    assert row.files[0].digest == sha256(tiny)
    assert read_facts(Path(row.path)).quantization == "F32"


def test_a_projector_that_lies_apart_gets_a_link_beside_its_model(
    taking: Taking, imported: Path, tiny: Path, tmp_path: Path
) -> None:
    projector = write_projector(tmp_path / "projector.bin", 32)
    blobs = [ollama_blob(tmp_path / "ollama", one) for one in (tiny, projector)]
    row = taking(blobs[0], "llava", projector=blobs[1])
    assert list(sizes(row)) == ["llava.gguf", "mmproj-llava.gguf"]
    assert [one.digest for one in row.files] == [sha256(tiny), sha256(projector)]
    assert read_facts(imported / "llava" / "llava.gguf").modality is Modality.VISION


def test_a_file_keeps_the_name_that_tells_its_quantisation(
    taking: Taking, imported: Path, tiny: Path, tmp_path: Path
) -> None:
    own = tiny.rename(tiny.with_name("Tiny-UD-Q4_K_XL.gguf"))
    projector = write_projector(tmp_path / "vision.gguf", 32)
    row = taking(own, "mine", projector=projector)
    assert row.path == str(imported / "mine" / own.name)
    assert row.quantization == "UD-Q4_K_XL"
    assert list(sizes(row)) == [own.name, "mmproj-mine.gguf"]


def test_the_projector_that_was_asked_for_wins(
    taking: Taking, imported: Path, tiny: Path, tmp_path: Path
) -> None:
    write_projector(tiny.with_name("mmproj-tiny-f16.gguf"), 32)
    other = write_projector(tmp_path / "other.gguf", 32)
    row = taking(tiny, "mine", projector=other)
    assert list(sizes(row)) == ["tiny.gguf", "mmproj-mine.gguf"]
    assert (imported / "mine" / "mmproj-mine.gguf").samefile(other)


def test_split_set_with_a_projector_apart(taking: Taking, imported: Path, tmp_path: Path) -> None:
    width = (*SPLIT, ("llama.embedding_length", 32))
    first = write_header(tmp_path / "m-00001-of-00002.gguf", *width)
    write_header(tmp_path / "m-00002-of-00002.gguf", ("split.count", 2))
    projector = write_projector(tmp_path / "vision", 32)
    row = taking(first, "split", projector=projector)
    assert row.path == str(imported / "split" / first.name)
    assert [one.name for one in row.files] == [
        "m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "mmproj-split.gguf",
    ]  # fmt: skip


# --- from a cache of the hub --------------------------------------------------------


def test_the_boxs_own_cache_is_of_the_hub(taking: Taking, tiny: Path) -> None:
    snapshot = hub_snapshot(taking.cache, "org/tiny", {"sub/tiny.gguf": tiny})
    row = taking(snapshot / "sub" / "tiny.gguf", "hf:org/tiny:F32")
    assert row.stored_as is StoredAs.HUB
    assert row.path == str(snapshot / "sub" / "tiny.gguf")
    assert (row.repository, row.revision) == ("org/tiny", COMMIT)
    assert [(one.name, one.digest) for one in row.files] == [("sub/tiny.gguf", sha256(tiny))]


def test_digests_of_a_directory_are_the_names_of_its_blobs(taking: Taking) -> None:
    files = files_in(DEMO_DIRECTORY)
    snapshot = hub_snapshot(taking.cache, "org/demo", files)
    row = taking(snapshot, "hf:org/demo")
    assert (row.stored_as, row.path) == (StoredAs.HUB, str(snapshot))
    assert {one.name: one.digest for one in row.files} == {
        name: hub_digest(path) for name, path in files.items()
    }


def test_another_cache_of_the_hub_is_not_the_boxs_to_remove(
    taking: Taking, tiny: Path, tmp_path: Path
) -> None:
    snapshot = hub_snapshot(tmp_path / "theirs", "org/tiny", {"tiny.gguf": tiny})
    row = taking(snapshot / "tiny.gguf", "hf:org/tiny:F32")
    assert (row.stored_as, row.repository) == (StoredAs.REFERENCE, "org/tiny")


# --- copies -----------------------------------------------------------------------


def test_a_copy_is_the_librarys_own(taking: Taking, imported: Path, tiny: Path) -> None:
    projector = write_projector(tiny.with_name("mmproj-tiny.gguf"), 32)
    row = taking(tiny, "mine", copies=True)
    assert (row.stored_as, row.path) == (StoredAs.COPY, str(imported / "mine" / "tiny.gguf"))
    for one in (tiny, projector):
        copy = imported / "mine" / one.name
        assert not copy.is_symlink()
        assert copy.read_bytes() == one.read_bytes()
    assert taking.left() == ["mine"]


def test_a_copy_of_a_blob_with_its_projector(
    taking: Taking, imported: Path, tiny: Path, tmp_path: Path
) -> None:
    projector = write_projector(tmp_path / "vision", 32)
    blob = ollama_blob(tmp_path / "ollama", tiny)
    row = taking(blob, "mine", copies=True, projector=projector)
    assert list(sizes(row)) == ["mine.gguf", "mmproj-mine.gguf"]
    assert not (imported / "mine" / "mine.gguf").is_symlink()
    assert row.files[0].digest == sha256(tiny)


def test_a_copy_of_links_holds_what_they_lead_to(taking: Taking, imported: Path) -> None:
    files = files_in(DEMO_DIRECTORY)
    snapshot = hub_snapshot(taking.cache, "org/demo", files)
    row = taking(snapshot, "demo", copies=True)
    assert (row.stored_as, row.repository) == (StoredAs.COPY, "org/demo")
    copied = files_in(imported / "demo")
    assert {name: one.read_bytes() for name, one in copied.items()} == {
        name: one.read_bytes() for name, one in files.items()
    }
    assert not any(one.is_symlink() for one in copied.values())


def test_a_copy_takes_along_what_is_needed_and_no_pickles_or_code(
    taking: Taking, imported: Path, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "model", shards=2)
    for name in ("merges.txt", "tokenizer.model", "qwen.tiktoken", "chat_template.jinja"):
        (model / name).write_text("x")
    for name in ("a.bin", "a.pt", "a.pth", "a.ckpt", "a.pkl", "modeling.py", "README.md", "x.onnx"):
        (model / name).write_text("x")
    (model / "1_Pooling").mkdir()
    write_json(model / "1_Pooling" / "config.json", {})
    (model / "1_Pooling" / "code.py").write_text("x")
    taking(model, "mine", copies=True)
    assert sorted(files_in(imported / "mine")) == [
        "1_Pooling/config.json", "chat_template.jinja", "config.json", "merges.txt",
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "model.safetensors.index.json", "qwen.tiktoken", "tokenizer.json", "tokenizer.model",
        "tokenizer_config.json",
    ]  # fmt: skip


def test_no_room_for_a_copy(taking: Taking, imported: Path, tiny: Path) -> None:
    with pytest.raises(DiskFull) as caught:
        taking(tiny, "mine", copies=True, reserve_bytes=MUCH)
    assert caught.value.message.startswith(
        f"the copy needs 0.01 GiB of disk; {imported / '.mine.part'} has "
    )
    assert caught.value.message.endswith("of which 1,073,741,824.0 GiB stay free for the system")
    assert caught.value.hint == (
        "import it without a copy, or remove a model (hydra-box models stored)"
    )
    assert taking.left() == []


def test_a_reference_needs_no_room(taking: Taking, tiny: Path, tmp_path: Path) -> None:
    taking(ollama_blob(tmp_path / "ollama", tiny), "mine", reserve_bytes=MUCH)
    assert taking.left() == ["mine"]


def test_a_copy_that_is_told_to_stop_leaves_nothing(taking: Taking, tiny: Path) -> None:
    taking.stop.set()
    with pytest.raises(Stopped):
        taking(tiny, "mine", copies=True)
    assert taking.left() == []


class Meanwhile(threading.Event):
    """Never set; who asks has the file changed in between."""

    def __init__(self, changed: Path) -> None:
        super().__init__()
        self._changed = changed

    def is_set(self) -> bool:
        with self._changed.open("ab") as file:
            file.write(b"more")
        return False


def test_a_file_that_changes_while_it_is_copied(taking: Taking, tiny: Path) -> None:
    taking.stop = Meanwhile(tiny)
    with pytest.raises(InvalidModel) as caught:
        taking(tiny, "mine", copies=True)
    assert caught.value.message == f"{tiny} was changed while it was copied"
    assert taking.left() == []


def test_files_that_cannot_be_copied(tmp_path: Path) -> None:
    gone = tmp_path / "gone.gguf"
    with pytest.raises(StateError) as caught:
        copy_files([(gone, tmp_path / "copy.gguf")], threading.Event())
    assert caught.value.message == (
        f"{gone} cannot be copied to {tmp_path}: No such file or directory"
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_others_fill_while_it_is_copied(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("hydra_box.models.copying._copy", full)
    with pytest.raises(DiskFull) as caught:
        copy_files([(tiny, tmp_path / "copy.gguf")], threading.Event())
    assert caught.value.message == f"{tmp_path} is full: {tiny} was not copied"


def test_a_state_directory_that_takes_no_directory(
    taking: Taking, imported: Path, tiny: Path
) -> None:
    imported.write_text("a file")
    with pytest.raises(StateError, match=r"\.mine\.part cannot be made: Not a directory"):
        taking(tiny, "mine", copies=True)


def test_a_model_that_needs_code_is_not_copied(taking: Taking, tmp_path: Path) -> None:
    config = {"model_type": "new", "auto_map": {"AutoModelForCausalLM": "modeling.M"}}
    model = write_model(tmp_path / "model", config=config)
    with pytest.raises(InvalidModel, match="needs the Python code that lies beside it") as caught:
        taking(model, "mine", copies=True)
    assert caught.value.hint == "import it without a copy"
    assert taking(model, "mine").path == str(model)


# --- what is refused ---------------------------------------------------------------


def error_of(path: Path, projector: Path | None = None) -> HydraError:
    with pytest.raises(HydraError) as caught:
        read_source(path, projector)
    return caught.value


def test_paths_have_to_be_absolute(tiny: Path) -> None:
    error = error_of(Path("tiny.gguf"))
    assert (type(error), error.param) == (InvalidRequest, "path")
    assert error.message == "tiny.gguf is not an absolute path"
    error = error_of(tiny, Path("vision.gguf"))
    assert (type(error), error.param) == (InvalidRequest, "projector")


def test_what_is_not_there_or_no_model(tiny: Path, tmp_path: Path) -> None:
    assert type(error_of(tmp_path / "no.gguf")) is NotFound
    os.truncate(tiny, tiny.stat().st_size - 1)
    error = error_of(tiny)
    assert type(error) is InvalidModel
    assert error.message.endswith("and 1 are missing")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    write_json(adapter / "adapter_config.json", {})
    assert "holds an adapter (LoRA), not a model" in error_of(adapter).message
    pickles = tmp_path / "pickles"
    pickles.mkdir()
    (pickles / "pytorch_model.bin").write_bytes(b"x")
    assert "those can run any code" in error_of(pickles).message


def test_half_a_split_set(tmp_path: Path) -> None:
    first = write_header(tmp_path / "m-00001-of-00002.gguf", *SPLIT)
    assert "m-00002-of-00002.gguf" in error_of(first).message


def test_projectors_that_are_none(taking: Taking, tiny: Path, tmp_path: Path) -> None:
    error = error_of(tiny, tmp_path / "no.gguf")
    assert (type(error), error.message) == (NotFound, f"there is no file {tmp_path / 'no.gguf'}")
    error = error_of(DEMO_DIRECTORY, tiny)
    assert (type(error), error.hint) == (InvalidRequest, "leave the projector out")
    for other in (DEMO_MODEL, write_projector(tmp_path / "wider.gguf", 64)):
        with pytest.raises(InvalidModel) as caught:
            taking(tiny, projector=other)
        assert caught.value.message == f"{other} is not a vision projector of {tiny}"
        assert caught.value.param == "projector"
        assert taking.left() == []


# --- the directory gets its name -----------------------------------------------------


def test_what_was_killed_is_ended_by_the_rows(taking: Taking, imported: Path, tiny: Path) -> None:
    for name in ("kept", "lost"):
        taking.make(read_source(tiny, None), name, copies=True)
    (imported / "theirs").mkdir()
    assert taking.left() == [".kept.part", ".lost.part", "theirs"]
    settle(imported, {"kept"})
    assert taking.left() == ["kept", "theirs"]
    assert (imported / "kept" / "tiny.gguf").read_bytes() == tiny.read_bytes()
    settle(imported, {"kept"})
    assert taking.left() == ["kept", "theirs"]


def test_there_is_nothing_to_settle_in_a_new_home(imported: Path) -> None:
    settle(imported, ())
    discard(imported, "m")
    assert not imported.exists()


def test_a_name_that_something_else_has(taking: Taking, imported: Path, tiny: Path) -> None:
    (imported / "mine").mkdir(parents=True)
    (imported / "mine" / "theirs.gguf").write_bytes(b"x")
    with pytest.raises(StateError, match="cannot become") as caught:
        taking(tiny, "mine", copies=True)
    assert caught.value.hint == "give another name, or move what is there"
    assert names_in(imported / "mine") == ["theirs.gguf"]


# --- names ---------------------------------------------------------------------------


def test_labels(tiny: Path, tmp_path: Path) -> None:
    assert read_source(tiny, None).label == "tiny.gguf"
    blob = ollama_blob(tmp_path / "ollama", tiny)
    assert read_source(blob, None).label == "Tiny"
    assert read_source(DEMO_DIRECTORY, None).label == DEMO_DIRECTORY.name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Qwen3-8B-Q4_K_M.gguf", "qwen3-8b-q4_k_m"),
        ("m-00001-of-00002.gguf", "m"),
        ("../..", "model"),
        ("  Llama 3.2 (1B)! ", "llama-3.2-1b"),
        ("...hidden", "hidden"),
        ("日本", "model"),
        ("x" * 200, "x" * 60),
    ],
)
def test_names_from_files(text: str, name: str) -> None:
    assert name_from(text) == name == check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "hf:a", "A", "-a", "a b", "é", "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_name(name)
    assert caught.value.message == f"the name {name!r} is not valid"
    assert caught.value.param == "name"


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(InvalidRequest, match="has 65 characters"):
        check_name("a" * 65)


def test_free_names_and_names_on_the_hub() -> None:
    assert free_name("a", ()) == "a"
    assert free_name("a", {"a", "a-2", "b"}) == "a-3"
    assert hub_name("o/r", WeightFormat.GGUF, "Q8_0") == "hf:o/r:Q8_0"
    assert hub_name("o/r", WeightFormat.GGUF, None) == "hf:o/r"
    assert hub_name("o/r", WeightFormat.SAFETENSORS, "BF16") == "hf:o/r"
