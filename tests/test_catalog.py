"""The catalog: its files, and what a MODEL may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.catalog import DEMO_MODEL, Catalog
from hydra_box.config import Paths
from hydra_box.errors import ConfigError, InvalidModel, NotFound
from tests.models.tiny_gguf import write_tiny_gguf


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(home=tmp_path, run=tmp_path / "run")


def owners(paths: Paths, text: str) -> Catalog:
    (paths.home / "models.toml").write_text(text)
    return Catalog.load(paths)


def test_demo_is_packaged_and_whole(paths: Paths) -> None:
    demo = Catalog.load(paths).resolve("demo")
    assert (demo.id, demo.path, demo.license) == ("demo", str(DEMO_MODEL), "Apache-2.0")
    assert demo.has_chat_template
    assert demo.size_bytes <= 4 * 1024 * 1024


def test_owners_entries_are_added_and_listed(paths: Paths) -> None:
    write_tiny_gguf(paths.home / "tiny.gguf")
    catalog = owners(paths, '[models.tiny]\npath = "tiny.gguf"\ndescription = "small"\n')
    assert [spec.id for spec in catalog.list()] == ["demo", "tiny"]
    tiny = catalog.resolve("tiny")
    assert (tiny.name, tiny.path) == ("Tiny", str(paths.home / "tiny.gguf"))
    assert (tiny.description, tiny.context_length, tiny.parameters) == ("small", 512, 37_216)


def test_owners_entry_replaces_a_packaged_one(paths: Paths) -> None:
    path = write_tiny_gguf(paths.home / "tiny.gguf")
    catalog = owners(paths, f'[models.demo]\nname = "Mine"\npath = "{path}"\n')
    assert catalog.resolve("demo").name == "Mine"


def test_broken_entry_is_told_and_does_not_hide_the_others(paths: Paths) -> None:
    catalog = owners(paths, '[models.gone]\npath = "/no/such.gguf"\n')
    assert [spec.id for spec in catalog.list()] == ["demo"]
    assert catalog.problems() == ("model 'gone': there is no file /no/such.gguf",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[models.x\n", "models.toml: "),
        ("[model.x]\n", "unknown table 'model'"),
        ("models = 3\n", "'models' is not a table"),
        ("[models]\nx = 3\n", "models.x: Expected `object`, got `int`"),
        ('[models.x]\npaht = "a"\n', "models.x.paht is unknown"),
        ("[models.x]\npath = 3\n", "models.x: Expected `str | null`, got `int` - at `$.path`"),
        ("[models.x]\n", "models.x needs exactly one of 'asset' and 'path'"),
        ('[models.x]\npath = "a"\nasset = "b"\n', "needs exactly one"),
        ('[models."Not An Id"]\npath = "a"\n', "models.Not An Id is not a valid id"),
    ],
)
def test_mistakes_name_the_file_and_the_key(paths: Paths, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        owners(paths, text)
    assert str(paths.home / "models.toml") in caught.value.message
    assert words in caught.value.message


def test_unknown_key_names_the_nearest(paths: Paths) -> None:
    with pytest.raises(ConfigError) as caught:
        owners(paths, '[models.x]\npaht = "a"\n')
    assert caught.value.hint == "the nearest is 'path'"


def test_path_is_resolved_by_its_header(paths: Paths) -> None:
    path = write_tiny_gguf(paths.home / "my model.gguf", name="")
    spec = Catalog.load(paths).resolve(str(path))
    assert (spec.id, spec.name, spec.quantization) == (str(path), "my model", "F32")


def test_relative_path_is_made_absolute(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiny_gguf(paths.home / "tiny.gguf")
    monkeypatch.chdir(paths.home)
    assert Catalog.load(paths).resolve("tiny.gguf").path == str(path)
    assert Catalog.load(paths).resolve("./tiny.gguf").path == str(path)


def test_unknown_id_names_the_nearest(paths: Paths) -> None:
    catalog = Catalog.load(paths)
    with pytest.raises(NotFound) as caught:
        catalog.resolve("demmo")
    assert caught.value.message == "the catalog has no model 'demmo'"
    assert caught.value.hint == "did you mean demo; or give the path of a GGUF file"
    with pytest.raises(NotFound) as caught:
        catalog.resolve("xyz")
    assert caught.value.hint == "it has demo; or give the path of a GGUF file"


def test_wrong_paths_have_an_error_each(paths: Paths) -> None:
    catalog = Catalog.load(paths)
    with pytest.raises(NotFound, match="there is no file"):
        catalog.resolve("/no/such.gguf")
    with pytest.raises(InvalidModel, match="is a directory"):
        catalog.resolve(str(paths.home))
    text = paths.home / "text.gguf"
    text.write_text("this is not a model, it is a text")
    with pytest.raises(InvalidModel, match="it starts with b'this'"):
        catalog.resolve(str(text))
