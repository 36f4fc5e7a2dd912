"""What a GGUF file holds, read from its header without loading it.

The file may be hostile: every length is checked against what is left of a bounded header before
anything is read or skipped, and nothing is allocated from a number in the file. That the file is
whole is checked by comparing the end of every tensor with its size.
"""

from __future__ import annotations

import stat
from functools import lru_cache
from pathlib import Path

from msgspec.structs import replace

from hydra_box.errors import InvalidModel, NotFound
from hydra_box.models.gguf_facts import gguf_facts
from hydra_box.models.gguf_header import Header, read_header
from hydra_box.models.gguf_names import (
    MOST_SHARDS,
    SHARD,
    best_projector_first,
    is_projector,
    own_mixture,
)
from hydra_box.types import FactsSource, Modality, ModelFacts, WeightFile

FETCH_AGAIN = "get the file again and compare its checksum"


def read_gguf_facts(path: Path) -> ModelFacts:
    """The facts of the model at ``path``; of a split model, ``path`` is the first part.

    A projector (``mmproj``) in the same directory that fits the model makes it a vision model.
    Answers from memory while the model's files do not change.

    Raises:
        NotFound: nothing is there.
        InvalidModel: it is a directory, not a GGUF file, corrupt, truncated, or no model.

    """
    facts = _read_facts(path, _stamp(path))
    projector = projector_beside(path, facts)
    if projector is None:
        return facts
    file = WeightFile(name=projector.name, size_bytes=_look_at(projector)[0])
    return replace(
        facts,
        modality=Modality.VISION,
        projector_bytes=file.size_bytes,
        files=(*facts.files, file),
    )


def has_pooling(path: Path) -> bool:
    """Whether the model at ``path`` says itself how its tokens become one embedding."""
    return _read_facts(path, _stamp(path)).has_pooling


def projector_beside(path: Path, facts: ModelFacts | None = None) -> Path | None:
    """The vision projector of the model at ``path``: ``*mmproj*.gguf`` in the same directory.

    Of several the one in F16 is taken, which is what every publisher has; a projector for a model
    of another width does not count. None: there is none.

    Raises:
        NotFound: nothing is at ``path``.
        InvalidModel: the model cannot be read.

    """
    facts = _read_facts(path, _stamp(path)) if facts is None else facts
    if facts.modality is not Modality.TEXT:
        return None
    names = (one.name for one in path.parent.glob("*.gguf") if is_projector(one.name))
    beside = (path.with_name(name) for name in best_projector_first(names))
    fitting = (one for one in beside if _projection_length(one) in {0, facts.embedding_length})
    return next(fitting, None)


def _projection_length(path: Path) -> int | None:
    """Width of the embeddings that a projector makes; 0 if it does not say; None: it is none."""
    try:
        header = _read_part(path, _look_at(path)[0])
    except (InvalidModel, NotFound):
        # It is broken or was just taken away; the model without it serves text.
        return None
    if header.values.get("general.architecture") != "clip":
        return None
    length = header.values.get("clip.vision.projection_dim", 0)
    return length if isinstance(length, int) else None


def _stamp(path: Path) -> tuple[tuple[int, int], ...]:
    """Size and time of change of the file, and of the other parts that its name tells of."""
    first = _look_at(path)
    found = SHARD.fullmatch(path.name)
    if found is None:
        return (first,)
    parts = (path.with_name(name) for name in _part_names(found["stem"], int(found["count"])))
    return (first, *(_look_at(part) for part in parts if part.exists()))


def _part_names(stem: str, count: int) -> list[str]:
    return [f"{stem}-{n:05}-of-{count:05}.gguf" for n in range(1, min(count, MOST_SHARDS) + 1)]


@lru_cache(maxsize=256)
def _read_facts(path: Path, stamp: tuple[tuple[int, int], ...]) -> ModelFacts:
    header = _read_part(path, stamp[0][0])
    kind = header.values.get("general.type") or "model"
    if kind != "model" or header.values.get("general.architecture") == "clip":
        raise InvalidModel(
            f"{path} holds a part for other models ({str(kind)[:40]}), not a model",
            hint="give the GGUF file of the model itself",
            param="model",
        )
    shards = [path, *_other_shards(path, header)]
    headers = [header, *(_read_part(one, _look_at(one)[0]) for one in shards[1:])]
    files = tuple(
        WeightFile(name=shard.name, size_bytes=one.size_bytes)
        for shard, one in zip(shards, headers, strict=True)
    )
    try:
        facts = gguf_facts(headers, files, FactsSource.FILE)
    except ValueError as error:
        raise _corrupt(path, str(error)) from error
    return replace(facts, quantization=own_mixture(path.name) or facts.quantization)


def _look_at(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no file {path}", hint="check the path", param="model") from error
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


def _other_shards(path: Path, header: Header) -> list[Path]:
    count = header.values.get("split.count") or 1
    if not isinstance(count, int) or count == 1:
        return []
    found = SHARD.fullmatch(path.name)
    if found is None or int(found["count"]) != count or not 1 < count <= MOST_SHARDS:
        raise InvalidModel(
            f"{path} is one part of a model in {count} files",
            hint=f"keep the names as they were made: NAME-00001-of-{count:05}.gguf",
            param="model",
        )
    names = _part_names(found["stem"], count)
    if path.name != names[0]:
        raise InvalidModel(
            f"{path} is part {int(found['number'])} of {count}",
            hint=f"give the first part: {path.with_name(names[0])}",
            param="model",
        )
    return [path.with_name(name) for name in names[1:]]


def _corrupt(path: Path, why: str) -> InvalidModel:
    return InvalidModel(f"{path} is not a usable GGUF file: {why}", hint=FETCH_AGAIN, param="model")


def _unreadable(path: Path, error: Exception) -> InvalidModel:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return InvalidModel(
        f"{path} cannot be read: {why}",
        hint="check that this user may read the file",
        param="model",
    )
