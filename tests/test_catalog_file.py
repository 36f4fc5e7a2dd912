"""Mistakes in a catalog file: each names the file, the line, the key, and what is near."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.catalog.file import read_entries
from hydra_box.errors import ConfigError
from hydra_box.types import EngineName, Hosting, Modality

SHAPE = """
[models.x.shape]
architecture = "A"
layers = 2
embedding_length = 64
heads = 2
kv_heads = 2
head_length = 32
vocabulary_size = 100
"""


def mistake(directory: Path, text: str) -> ConfigError:
    file = directory / "models.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_entries(file)
    assert caught.value.message.startswith(str(file))
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "words", "hint"),
    [
        ("[models.x\n", 1, "Expected ']'", None),
        ('\n\n[models.x]\nname = "a', 4, "Unterminated string", None),
        ("[models.x]\npath = 'a'\npath = 'b'\n", 3, "Cannot overwrite a value", None),
        ("[models.x]\n[models.y]\n[models.x]\n", 3, "Cannot declare ('models', 'x') twice", None),
        ("\n[model.x]\n", 2, "unknown table 'model'", "use [models.<id>] tables"),
        ("models = 3\n", 1, "'models' is not a table", "use [models.<id>] tables"),
        ("[models]\n\nx = 3\n", 3, "models.x: Expected `object`, got `int`", None),
        (
            '[models."Not An Id"]\npath = "a"\n',
            1,
            'models."Not An Id" is not a valid id',
            "use lower-case letters, digits, dots, hyphens and underscores",
        ),
        (
            '[models.x]\n# the path\npaht = "a"\n',
            3,
            "models.x.paht is unknown",
            "the nearest is 'path'",
        ),
        (
            '[models."x.5"]\ndescription = """\npaht = 3\n"""\n"paht" = "a"\n',
            5,
            'models."x.5".paht is unknown',
            "the nearest is 'path'",
        ),
        ("[models.x]\npath = 3\n", 2, "models.x.path: Expected `str | array`, got `int`", None),
        (
            "[models.x]\nmodality = 'txt'\n",
            2,
            "models.x.modality: Invalid enum value 'txt'",
            "one of text, vision, embedding, rerank, image",
        ),
        (
            "[models.x]\nhosting = [\n  'model-service',\n  'maas',\n]\n",
            4,
            "models.x.hosting[1]: Invalid enum value 'maas'",
            "one of maas-by-token, model-service",
        ),
        (
            "[models.x]\nminimum = { vlm = '1' }\n",
            2,
            "models.x.minimum.vlm: Invalid enum value 'vlm'",
            "one of llama.cpp, vllm",
        ),
        (
            "[models.x.minimum]\n'llama.cpp' = '1'\nvllm = 'new'\n",
            3,
            "models.x.minimum.vllm: Expected `str` matching regex",
            "write numbers with dots, such as 0.32.0",
        ),
        (
            "[models.x]\ntags = ['chat', 'For You']\n",
            2,
            "models.x.tags[1]: Expected `str` matching regex",
            "write lower-case words joined by hyphens",
        ),
        ("[models.x.price]\ninput = 1\n", 1, "models.x.price: Object missing required", None),
        ("[models.x]\nprice = { input = -1, output = 1 }\n", 2, "models.x.price.input: ", None),
        ("[models.x]\nparameters = 0\n", 2, "models.x.parameters: Expected `int` >= 1", None),
        (
            "[[models.x.gguf]]\nrepo = 'a/b'\n\n[[models.x.gguf]]\nrepo = 'a'\n",
            5,
            "models.x.gguf[1].repo: Expected `str` matching regex",
            "write org/name",
        ),
        ("[[models.x.gguf]]\n", 1, "models.x.gguf[0]: Object missing required field `repo`", None),
        (
            "[[models.x.gguf]]\nrepo = 'a/b'\nquants = []\n",
            3,
            "models.x.gguf[0].quants is unknown",
            "the nearest is 'quantizations'",
        ),
        (
            "[models.x]\nsafetensors = [\n  { repo = 'a/b' },\n  { repo = 'a/b', size = 3 },\n]\n",
            4,
            "models.x.safetensors[1].size is unknown",
            "the nearest is 'size_bytes'",
        ),
        (
            (
                "[[models.x.gguf]]\nrepo = 'a/b'\n"
                "[models.x.gguf.quantizations]\nQ4_0 = 3\nQ8_0 = 'large'\n"
            ),
            5,
            "models.x.gguf[0].quantizations.Q8_0: Expected `int`, got `str`",
            None,
        ),
        (
            "[[models.x.gguf]]\nrepo = 'a/b'\nquantizations = [\n  'Q4_0',\n  'Q9_0',\n]\n",
            5,
            "models.x.gguf[0].quantizations[1] is no quantisation of GGUF: 'Q9_0'",
            None,
        ),
        (
            "[[models.x.gguf]]\nrepo = 'a/b'\nquantizations = { Q9_0 = 3 }\n",
            3,
            "models.x.gguf[0].quantizations.Q9_0 is no quantisation of GGUF",
            None,
        ),
        (
            "[[models.x.safetensors]]\nrepo = 'a/b'\nquantization = 'Q4_0'\n",
            3,
            "models.x.safetensors[0].quantization names no quantisation of safetensors: 'Q4_0'",
            None,
        ),
        (f"[models.x]{SHAPE}layer = 3\n", 10, "models.x.shape.layer is unknown", "'layers'"),
        ("[models.x.shape]\nlayers = 'two'\n", 2, "models.x.shape.layers: Expected `int`", None),
    ],
)
def test_mistake(tmp_path: Path, text: str, line: int, words: str, hint: str | None) -> None:
    error = mistake(tmp_path, text)
    assert error.message.startswith(f"{tmp_path / 'models.toml'}:{line}: {words}")
    if hint is None:
        assert error.hint is None
    else:
        assert error.hint is not None
        assert hint in error.hint


ONE_PLACE = "needs exactly one of 'asset', 'path' and repositories"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[models.x]\n", 1, f"models.x {ONE_PLACE}"),
        ("[models.x]\nname = 'a'\npath = 'a'\nasset = 'b'\n", 4, f"models.x.asset {ONE_PLACE}"),
        ("[models.x]\npath = 'a'\ngguf = [{ repo = 'a/b' }]\n", 2, f"models.x.path {ONE_PLACE}"),
        (
            "[models.x]\npath = 'a'\ntags = ['a', 'b',\n 'a']\n",
            4,
            "models.x.tags[2] names 'a' twice",
        ),
        (
            "[models.x]\npath = 'a'\nhosting = ['model-service', 'model-service']\n",
            3,
            "models.x.hosting[1] names 'model-service' twice",
        ),
        ("[models.x]\npath = 'a'\nhosting = []\n", 3, "models.x.hosting names no way to host it"),
        (
            "[models.x]\npath = 'a'\nhosting = ['maas-by-token']\n",
            3,
            "models.x.hosting has 'maas-by-token', which needs 'price'",
        ),
        (
            "[models.x]\npath = 'a'\nactive_parameters = 3\n",
            3,
            "models.x.active_parameters needs 'parameters' too",
        ),
        (
            "[models.x]\npath = 'a'\nparameters = 2\nactive_parameters = 3\n",
            4,
            "models.x.active_parameters is more than 'parameters'",
        ),
        (
            f"[models.x]\npath = 'a'\n{SHAPE}",
            4,
            "models.x.shape is read from the file, where there is one",
        ),
        (
            f"[models.x]\nsafetensors = [{{ repo = 'a/b' }}]\n{SHAPE}",
            4,
            "models.x.shape needs 'context_length' beside it",
        ),
        (
            (
                "[models.x]\ncontext_length = 8\narchitecture = 'A'\n"
                f"safetensors = [{{ repo = 'a/b' }}]\n{SHAPE}"
            ),
            3,
            "models.x.architecture belongs into 'shape', where there is one",
        ),
        (
            (
                "[models.x]\ncontext_length = 8\n"
                f"gguf = [{{ repo = 'a/b', quantizations = ['Q8_0'] }}]\n{SHAPE}"
            ),
            3,
            "models.x.gguf needs 'shape.gguf_architecture'",
        ),
        (
            (
                "[models.x]\ncontext_length = 8\n"
                f"gguf = [{{ repo = 'a/b' }}]\n{SHAPE}gguf_architecture = 'llama'\n"
            ),
            3,
            "models.x.gguf[0] needs 'quantizations', where there is a shape",
        ),
        (
            "[[models.x.gguf]]\nrepo = 'a/b'\nprojector = { file = 'm', size_bytes = 1 }\n",
            3,
            "models.x.gguf[0].projector is for models whose 'modality' is 'vision'",
        ),
        (
            (
                "[[models.x.gguf]]\nrepo = 'a/b'\n[[models.x.gguf.companions]]\n"
                "repo = 'a/b'\nfile = 'c'\nsize_bytes = 1\n"
            ),
            3,
            "models.x.gguf[0].companions are for models whose 'modality' is 'image'",
        ),
        (
            (
                "[models.x]\nmodality = 'image'\ncontext_length = 8\n"
                f"safetensors = [{{ repo = 'a/b', size_bytes = 3 }}]\n{SHAPE}"
            ),
            6,
            "models.x.shape is for models of text; an image model has sizes",
        ),
        (
            "[models.x]\nmodality = 'image'\n[[models.x.safetensors]]\nrepo = 'a/b'\n",
            3,
            "models.x.safetensors[0] of an image model needs 'size_bytes'",
        ),
        (
            (
                "[models.x]\nmodality = 'image'\n[[models.x.gguf]]\nrepo = 'a/b'\n"
                "quantizations = ['Q8_0']\n"
            ),
            3,
            "models.x.gguf[0] of an image model needs 'quantizations' with their sizes",
        ),
    ],
)
def test_rule_between_keys(tmp_path: Path, text: str, line: int, words: str) -> None:
    error = mistake(tmp_path, text)
    assert error.message.startswith(f"{tmp_path / 'models.toml'}:{line}: {words}")


def test_unreadable_files(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    with pytest.raises(ConfigError, match=r"models.toml cannot be read: No such file"):
        read_entries(file)
    file.write_bytes(b'[models.x]\nname = "\xff"\n')
    with pytest.raises(ConfigError, match=r"models.toml cannot be read: 'utf-8' codec"):
        read_entries(file)


def test_smallest_entries_are_enough(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text('[models.a]\npath = "a.gguf"\n[[models.b.gguf]]\nrepo = "someone/b-GGUF"\n')
    entries = read_entries(file)
    assert entries["a"].path == (str(tmp_path / "a.gguf"),)
    assert entries["a"].hosting == (Hosting.MODEL_SERVICE,)
    assert entries["a"].modality is Modality.TEXT
    assert (entries["b"].needs_hub, entries["a"].needs_hub) == (True, False)
    assert entries["b"].gguf[0].revision == "main"


def test_engines_are_keys(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text('[models.a]\npath = "a"\nminimum = { "llama.cpp" = "1", vllm = "0.8.5" }\n')
    minimum = read_entries(file)["a"].minimum
    assert minimum == {EngineName.LLAMA_CPP: "1", EngineName.VLLM: "0.8.5"}


def test_empty_file_has_no_entries(tmp_path: Path) -> None:
    file = tmp_path / "models.toml"
    file.write_text("")
    assert read_entries(file) == {}
