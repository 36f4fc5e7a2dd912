"""The GGUF models of a hub repository, read from their headers alone.

A header is mostly the vocabulary, several megabytes, and the same in every quantisation of a
model. So it is read once; of the others only the descriptions of the tensors are read, where they
should lie, and believed when the model's numbers are the same, its tensors too, and they account
for every byte of the file.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from msgspec.structs import replace

from hydra_box.errors import InvalidModel
from hydra_box.models.gguf_facts import gguf_facts
from hydra_box.models.gguf_header import (
    START_BYTES,
    Header,
    Values,
    data_start,
    read_header,
    read_start,
    read_tensors,
    read_values,
)
from hydra_box.models.gguf_names import (
    best_projector_first,
    is_projector,
    own_mixture,
    quantization_in_name,
)
from hydra_box.models.gguf_reader import HeaderReader
from hydra_box.models.hub_client import MOST_CONNECTIONS, HubClient, Snapshot
from hydra_box.models.hub_source import RemoteFile
from hydra_box.types import FactsSource, Modality, ModelFacts, WeightFile

FIRST_PIECE_BYTES = 1024 * 1024
NEXT_SHARD_PIECE_BYTES = 128 * 1024
OPENING_BYTES = 64 * 1024
"""The model's own numbers come first, and the vocabulary after them."""
PADDING_BYTES = 4096
"""More than a file has behind its last tensor."""
WINDOW_BYTES = 64 * 1024
"""How far apart the same place may lie in two quantisations of a model."""


class _Known(NamedTuple):
    """A model of the repository that was read as a whole."""

    first: Header
    """Of its first file."""
    shapes: frozenset[tuple[str, tuple[int, ...]]]
    """Names and dimensions of all its tensors."""


def read_models(
    client: HubClient, snapshot: Snapshot, groups: Sequence[tuple[str, ...]]
) -> list[ModelFacts]:
    """The facts of each model (its files in order); those that are broken are left out.

    Raises:
        InvalidModel: none of them can be read.
        HydraError: the hub cannot be reached, or refuses.

    """
    by_size = sorted(groups, key=lambda group: sum(snapshot.sizes[name] for name in group))
    found: list[ModelFacts] = []
    first_error: InvalidModel | None = None
    known: _Known | None = None
    with ThreadPoolExecutor(MOST_CONNECTIONS) as pool:
        while by_size and known is None:
            group = by_size.pop(0)
            try:
                headers = _read_all(client, snapshot, group, None)
                found.append(_facts(snapshot, group, headers))
                known = _Known(headers[0], _shapes(headers))
            except InvalidModel as error:
                first_error = first_error or error
        tries = [pool.submit(_read_like, client, snapshot, group, known) for group in by_size]
        for one in tries:
            try:
                found.append(one.result())
            except InvalidModel as error:
                first_error = first_error or error
    if not found and first_error is not None:
        raise first_error
    return _with_projector(client, snapshot, found)


def _read_like(
    client: HubClient, snapshot: Snapshot, group: tuple[str, ...], known: _Known | None
) -> ModelFacts:
    label = quantization_in_name(group[0])
    headers = _read_all(client, snapshot, group, known if label else None)
    return _facts(snapshot, group, headers)


def _facts(snapshot: Snapshot, group: tuple[str, ...], headers: Sequence[Header]) -> ModelFacts:
    files = tuple(WeightFile(name=name, size_bytes=snapshot.sizes[name]) for name in group)
    kind = headers[0].values.get("general.type") or "model"
    if kind != "model":
        raise _unusable(snapshot, group[0], f"it holds a part for other models ({str(kind)[:40]})")
    try:
        facts = gguf_facts(headers, files, FactsSource.HUB)
    except ValueError as error:
        raise _unusable(snapshot, group[0], str(error)) from error
    label = own_mixture(group[0]) or facts.quantization or quantization_in_name(group[0])
    return replace(facts, quantization=label)


def _read_all(
    client: HubClient, snapshot: Snapshot, group: tuple[str, ...], known: _Known | None
) -> list[Header]:
    others = [_read_whole(client, snapshot, one, NEXT_SHARD_PIECE_BYTES) for one in group[1:]]
    if known is not None and known.first.tensors:
        first = _read_around(client, snapshot, group[0], known.first)
        if first is not None and _shapes([first, *others]) == known.shapes:
            return [first, *others]
    return [_read_whole(client, snapshot, group[0], FIRST_PIECE_BYTES), *others]


def _shapes(headers: Sequence[Header]) -> frozenset[tuple[str, tuple[int, ...]]]:
    return frozenset((one.name, one.dimensions) for header in headers for one in header.tensors)


def _read_whole(client: HubClient, snapshot: Snapshot, name: str, piece: int) -> Header:
    file = RemoteFile(client, snapshot, name, first_piece_bytes=piece)
    try:
        header = read_header(file, snapshot.sizes[name])
    except ValueError as error:
        raise _unusable(snapshot, name, str(error)) from error
    if header.end_of_tensors > snapshot.sizes[name]:
        missing = header.end_of_tensors - snapshot.sizes[name]
        raise _unusable(snapshot, name, f"{missing:,} bytes are missing at its end")
    return header


def _read_around(client: HubClient, snapshot: Snapshot, name: str, known: Header) -> Header | None:
    """The header of another quantisation of the model, without its vocabulary.

    None: it is not laid out alike, or not of the same model.
    """
    size = snapshot.sizes[name]
    start = max(known.tensors_at - WINDOW_BYTES, START_BYTES)
    opening = client.read(snapshot, name, 0, OPENING_BYTES)
    window = client.read(snapshot, name, start, known.header_bytes - start + WINDOW_BYTES)
    at = window.find(_record_start(known))
    if at < 0:
        return None
    try:
        reader = HeaderReader(io.BytesIO(opening), size)
        count, value_count = read_start(reader)
        said = read_values(reader, value_count, until="tokenizer.")
        reader = HeaderReader(io.BytesIO(window[at:]), len(window) - at)
        tensors, end = read_tensors(reader, count)
        header_bytes = start + at + reader.position
        end += data_start(header_bytes, known.values)
    except ValueError:
        # What was found is not what it looked like; the whole header tells what the file is.
        return None
    if not (_same_numbers(known, said) and 0 <= size - end < PADDING_BYTES):
        return None
    # Where the quantisation's number is not among those that were read, the file's name tells it.
    return replace(
        known,
        values=known.values | {"general.file_type": -1} | said.values,
        tensors=tensors,
        tensors_at=start + at,
        header_bytes=header_bytes,
        end_of_tensors=end,
        size_bytes=size,
    )


def _same_numbers(known: Header, said: Values) -> bool:
    """Whether two files have the same hyper-parameters."""
    prefix = f"{known.values.get('general.architecture')}."
    numbers = {key: one for key, one in known.values.items() if key.startswith(prefix)}
    arrays = {key: one for key, one in known.arrays.items() if key.startswith(prefix)}
    return all(said.values.get(key) == one for key, one in numbers.items()) and all(
        said.arrays.get(key) == one for key, one in arrays.items()
    )


def _record_start(known: Header) -> bytes:
    """How the description of the first tensor begins, up to its type."""
    tensor = known.tensors[0]
    name = tensor.name.encode()
    shape = struct.pack(f"<I{len(tensor.dimensions)}Q", len(tensor.dimensions), *tensor.dimensions)
    return struct.pack("<Q", len(name)) + name + shape


def _with_projector(
    client: HubClient, snapshot: Snapshot, models: list[ModelFacts]
) -> list[ModelFacts]:
    """Vision models, where the repository has a projector that fits."""
    names = best_projector_first(
        name for name in snapshot.sizes if is_projector(name) and name.endswith(".gguf")
    )
    texts = [one for one in models if one.modality is Modality.TEXT]
    if not names or not texts:
        return models
    try:
        header = _read_whole(client, snapshot, names[0], NEXT_SHARD_PIECE_BYTES)
    except InvalidModel:
        # Without its projector the model still serves text.
        return models
    length = header.values.get("clip.vision.projection_dim", 0)
    file = WeightFile(name=names[0], size_bytes=snapshot.sizes[names[0]])
    return [
        replace(
            one,
            modality=Modality.VISION,
            projector_bytes=file.size_bytes,
            files=(*one.files, file),
        )
        if one.modality is Modality.TEXT and length in {0, one.embedding_length}
        else one
        for one in models
    ]


def _unusable(snapshot: Snapshot, name: str, why: str) -> InvalidModel:
    return InvalidModel(
        f"{name} of {snapshot.repository} is not a usable GGUF file: {why}",
        hint="use another file or repository",
        param="model",
    )
