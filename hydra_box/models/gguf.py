"""What a GGUF file holds, read from its header without loading it.

The file may be hostile: every length is checked against what is left of a bounded header before
anything is read or skipped, and nothing is allocated from a number in the file. That the file is
whole is checked by comparing the end of every tensor with its size.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from hydra_box.errors import InvalidModel, NotFound
from hydra_box.models.gguf_header import Header, Value, read_header
from hydra_box.types import Frozen

FETCH_AGAIN = "get the file again and compare its checksum"
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
MOST_SHARDS = 1024

FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4",
    39: "NVFP4",
    40: "Q1_0",
    41: "Q2_0",
}
"""``general.file_type`` to the quantisation's name (``llama_ftype`` in llama.cpp's llama.h)."""


class GgufFacts(Frozen, frozen=True, kw_only=True):
    """What is known of a model from its GGUF file, or files."""

    architecture: str
    name: str | None
    context_length: int
    """Longest sequence the model was trained for, in tokens."""
    parameters: int
    size_bytes: int
    quantization: str | None
    has_chat_template: bool
    has_pooling: bool
    """It is an embedding model, which says itself how to make one vector of many."""


def read_facts(path: Path) -> GgufFacts:
    """The facts of the model at ``path``; of a split model, ``path`` is the first part.

    Answers from memory while the file does not change.

    Raises:
        NotFound: nothing is there.
        InvalidModel: it is a directory, not a GGUF file, corrupt, truncated, or no language model.

    """
    size_bytes, changed_at = _look_at(path)
    return _read_facts(path, size_bytes, changed_at)


def has_pooling(path: Path) -> bool:
    """Whether the model at ``path`` says itself how its tokens become one embedding."""
    return read_facts(path).has_pooling


@lru_cache(maxsize=256)
def _read_facts(path: Path, size_bytes: int, _changed_at: int) -> GgufFacts:
    header = _read_part(path, size_bytes)
    values = header.values
    kind = _text(values, "general.type") or "model"
    if kind != "model":
        raise InvalidModel(
            f"{path} holds a part for other models ({kind}), not a model",
            hint="give the GGUF file of the model itself",
            param="model",
        )
    architecture = _text(values, "general.architecture")
    if not architecture:
        raise _corrupt(path, "it names no architecture")
    context_length = _number(values, f"{architecture}.context_length")
    if not context_length:
        raise _corrupt(path, f"it has no {architecture}.context_length")
    file_type = _number(values, "general.file_type")
    more_parts = [_read_part(part, _look_at(part)[0]) for part in _other_shards(path, values)]
    parts = [header, *more_parts]
    return GgufFacts(
        architecture=architecture,
        name=_text(values, "general.name") or None,
        context_length=context_length,
        parameters=sum(part.parameters for part in parts),
        size_bytes=sum(part.size_bytes for part in parts),
        quantization=None if file_type is None else FILE_TYPES.get(file_type),
        has_chat_template=bool(_text(values, "tokenizer.chat_template")),
        has_pooling=_number(values, f"{architecture}.pooling_type") is not None,
    )


def _look_at(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(
            f"there is no file {path}", hint="check the path; it has to be absolute", param="model"
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        inside = sorted(one.name for one in path.glob("*.gguf"))[:3]
        hint = f"it holds {', '.join(inside)}" if inside else "give the path of a GGUF file"
        raise InvalidModel(f"{path} is a directory", hint=hint, param="model")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidModel(
            f"{path} is not a regular file", hint="give the path of a GGUF file", param="model"
        )
    return status.st_size, status.st_mtime_ns


def _read_part(path: Path, size_bytes: int) -> Header:
    try:
        with path.open("rb") as file:
            header = read_header(file, size_bytes)
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise _corrupt(path, str(error)) from error
    if header.end_of_tensors > size_bytes:
        missing = header.end_of_tensors - size_bytes
        raise InvalidModel(
            f"{path} is truncated: it has {size_bytes:,} bytes and {missing:,} are missing",
            hint=FETCH_AGAIN,
            param="model",
        )
    return header


def _other_shards(path: Path, values: Mapping[str, Value]) -> list[Path]:
    count = _number(values, "split.count") or 1
    if count == 1:
        return []
    found = _SHARD.fullmatch(path.name)
    if found is None or int(found["count"]) != count or not 1 < count <= MOST_SHARDS:
        raise InvalidModel(
            f"{path} is one part of a model in {count} files",
            hint=f"keep the names as they were made: NAME-00001-of-{count:05}.gguf",
            param="model",
        )
    names = [f"{found['stem']}-{n:05}-of-{count:05}.gguf" for n in range(1, count + 1)]
    if path.name != names[0]:
        raise InvalidModel(
            f"{path} is part {int(found['number'])} of {count}",
            hint=f"give the first part: {path.with_name(names[0])}",
            param="model",
        )
    return [path.with_name(name) for name in names[1:]]


def _text(values: Mapping[str, Value], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) else None


def _number(values: Mapping[str, Value], key: str) -> int | None:
    value = values.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _corrupt(path: Path, why: str) -> InvalidModel:
    return InvalidModel(f"{path} is not a usable GGUF file: {why}", hint=FETCH_AGAIN, param="model")


def _unreadable(path: Path, error: Exception) -> InvalidModel:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return InvalidModel(
        f"{path} cannot be read: {why}",
        hint="check that this user may read the file",
        param="model",
    )
