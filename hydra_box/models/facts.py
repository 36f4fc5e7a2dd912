"""The facts of a model on this machine, whatever its format."""

from __future__ import annotations

from pathlib import Path

from hydra_box.errors import InvalidModel
from hydra_box.models.gguf import read_gguf_facts
from hydra_box.models.safetensors import read_safetensors_facts
from hydra_box.models.safetensors_files import CONFIG, PIPELINE, SUFFIX
from hydra_box.types import ModelFacts


def read_facts(path: Path) -> ModelFacts:
    """The facts of the model at ``path``: a GGUF file (the first, of several) or a directory.

    Blocking, milliseconds; answers from memory while the files keep their size and time of change.

    Raises:
        NotFound: nothing is there, or a file of the model is missing.
        InvalidModel: it is no model, it is broken, or it cannot be served safely.

    """
    is_directory = _is_directory(path)
    if path.suffix == SUFFIX and not is_directory:
        raise InvalidModel(
            f"{path} is one file of a model, which is read with the {CONFIG} beside it",
            hint=f"give the directory: {path.parent}",
            param="model",
        )
    if is_directory and not _has_gguf_alone(path):
        return read_safetensors_facts(path)
    return read_gguf_facts(path)


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # A name that no file can have, or a directory that is closed: reading tells which.
        return False


def _has_gguf_alone(directory: Path) -> bool:
    marks = (directory / CONFIG, directory / PIPELINE)
    return not any(one.exists() for one in marks) and any(directory.glob("*.gguf"))
