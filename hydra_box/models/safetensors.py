"""A directory of safetensors, as transformers models are published."""

from __future__ import annotations

import stat
from functools import lru_cache
from pathlib import Path, PurePosixPath

import msgspec

from hydra_box.errors import InvalidModel, NotFound
from hydra_box.models.safetensors_facts import Repository, diffusers_facts, safetensors_facts
from hydra_box.models.safetensors_files import (
    CONFIG,
    INDEX,
    PIPELINE,
    TOKENIZER_CONFIG,
    JsonTable,
    has_chat_template,
    json_table,
    pipeline_shards,
    refuse_without_weights,
    shard_names,
)
from hydra_box.models.safetensors_header import SafeTensor, read_tensors
from hydra_box.types import FactsSource, ModelFacts, WeightFile

JSON_LIMIT_BYTES = 64 * 1024 * 1024
FETCH_AGAIN = "get the file again and compare its checksum"


def read_safetensors_facts(directory: Path) -> ModelFacts:
    """The facts of the model in ``directory``; from memory while no file in it changes.

    Raises:
        NotFound: there is no such directory, or a shard is missing.
        InvalidModel: it holds no model of safetensors, or one that cannot be planned.

    """
    try:
        sizes = _list(directory)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(
            f"there is no directory {directory}", hint="check the path", param="model"
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidModel(
            f"{directory} cannot be read: {error}",
            hint="check that this user may read it",
            param="model",
        ) from error
    return _read(directory, sizes)


def _list(directory: Path) -> tuple[tuple[str, int, int], ...]:
    """(name, bytes, time of change) of every file in it, and one level below for pipelines."""
    found = []
    pattern = "*/*" if (directory / PIPELINE).is_file() else "*"
    for path in sorted({*directory.iterdir(), *directory.glob(pattern)}):
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            name = path.relative_to(directory).as_posix()
            found.append((name, status.st_size, status.st_mtime_ns))
    return tuple(found)


@lru_cache(maxsize=64)
def _read(directory: Path, files: tuple[tuple[str, int, int], ...]) -> ModelFacts:
    sizes = {name: size for name, size, _ in files}
    try:
        if PIPELINE in sizes:
            return _read_pipeline(directory, sizes)
        refuse_without_weights(str(directory), sizes)
        index = _json(directory, INDEX, sizes) if INDEX in sizes else None
        shards = shard_names(sizes, index)
        _require(directory, shards, sizes)
        repository = Repository(
            config=dict(_json(directory, CONFIG, sizes)),
            tensors=_tensors(directory, shards, sizes),
            files=_files(shards, sizes),
            names=frozenset(sizes),
            has_template_in_tokenizer=TOKENIZER_CONFIG in sizes
            and has_chat_template(_json(directory, TOKENIZER_CONFIG, sizes)),
        )
        return safetensors_facts(repository, FactsSource.FILE)
    except OSError as error:
        raise InvalidModel(
            f"{directory} cannot be read: {error.strerror}",
            hint="check that this user may read its files",
            param="model",
        ) from error


def _read_pipeline(directory: Path, sizes: dict[str, int]) -> ModelFacts:
    shards = pipeline_shards(sizes)
    tensors = _tensors(directory, shards, sizes)
    index = _json(directory, PIPELINE, sizes)
    return diffusers_facts(index, tensors, _files(shards, sizes), FactsSource.FILE)


def _require(directory: Path, shards: tuple[str, ...], sizes: dict[str, int]) -> None:
    missing = [name for name in shards if name not in sizes]
    if missing:
        raise NotFound(
            f"{directory} lacks {len(missing)} of {len(shards)} files of weights, "
            f"first {missing[0]}",
            hint="get the missing files",
            param="model",
        )


def _files(shards: tuple[str, ...], sizes: dict[str, int]) -> tuple[WeightFile, ...]:
    return tuple(WeightFile(name=name, size_bytes=sizes[name]) for name in shards)


def _tensors(
    directory: Path, shards: tuple[str, ...], sizes: dict[str, int]
) -> tuple[SafeTensor, ...]:
    found: list[SafeTensor] = []
    for name in shards:
        path = directory / PurePosixPath(name)
        with path.open("rb") as file:
            try:
                found.extend(read_tensors(file, sizes[name]))
            except ValueError as error:
                raise InvalidModel(
                    f"{path} is not a usable safetensors file: {error}",
                    hint=FETCH_AGAIN,
                    param="model",
                ) from error
    return tuple(found)


def _json(directory: Path, name: str, sizes: dict[str, int]) -> JsonTable:
    path = directory / name
    if sizes.get(name, 0) > JSON_LIMIT_BYTES:
        raise InvalidModel(f"{path} has {sizes[name]:,} bytes", hint=FETCH_AGAIN, param="model")
    try:
        return json_table(path.read_bytes())
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidModel(
            f"{path} is not what it should be: {error}", hint=FETCH_AGAIN, param="model"
        ) from error
