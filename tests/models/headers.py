"""GGUF files of values and empty tensors, for what is read from a header alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from hydra_box.models.facts import read_facts
from hydra_box.types import ModelFacts

Values = Mapping[str, int | float | bool | str | Sequence[int] | Sequence[bool]]

TOKENS = ["<unk>", "<s>", "</s>", *(chr(97 + one) for one in range(26))]


def write_values(
    path: Path,
    architecture: str,
    values: Values,
    *,
    tensors: Mapping[str, tuple[int, ...]] | None = None,
    kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    general: Mapping[str, int | str] | None = None,
) -> Path:
    """Write a file with these values (keys without the architecture) and tensors of zeros."""
    writer = GGUFWriter(path, architecture)
    for key, value in {"context_length": 4096, **values}.items():
        _add(writer, f"{architecture}.{key}", value)
    for key, value in (general or {}).items():
        _add(writer, key, value)
    writer.add_token_list(TOKENS)
    for name, shape in (tensors or {}).items():
        writer.add_tensor(name, np.zeros(shape, dtype=np.float32), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def facts_of(directory: Path, architecture: str, values: Values) -> ModelFacts:
    """The facts of a file with these values."""
    return read_facts(write_values(directory / "model.gguf", architecture, values))


def _add(writer: GGUFWriter, key: str, value: object) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case Sequence():
            writer.add_array(key, value)


def write_projector(path: Path, width: int) -> Path:
    """A vision projector, of no use but its header, that makes embeddings so wide."""
    values = {"vision.projection_dim": width, "has_vision_encoder": True}
    return write_values(
        path, "clip", values, tensors={"v.w": (8, 8)}, general={"general.type": "mmproj"}
    )
