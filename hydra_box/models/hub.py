"""What can be served from a repository of the model hub, before anything is downloaded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from threading import Lock

import msgspec

from hydra_box.errors import InvalidModel, NotFound
from hydra_box.models.gguf_names import quantization_in_name, shard_groups
from hydra_box.models.hub_client import MOST_CONNECTIONS, HubClient, Snapshot, hub_endpoint
from hydra_box.models.hub_gguf import read_models
from hydra_box.models.hub_source import RemoteFile
from hydra_box.models.safetensors_facts import Repository, diffusers_facts, safetensors_facts
from hydra_box.models.safetensors_files import (
    CONFIG,
    INDEX,
    PIPELINE,
    TOKENIZER_CONFIG,
    JsonTable,
    has_chat_template,
    is_safetensors_model,
    json_table,
    pipeline_shards,
    refuse_without_weights,
    shard_names,
)
from hydra_box.models.safetensors_header import SafeTensor, read_tensors
from hydra_box.models.wanted import Wanted, wanted_files
from hydra_box.types import FactsSource, ModelFacts, Offer, WeightFile, WeightFormat

JSON_LIMIT_BYTES = 32 * 1024 * 1024
FIRST_PIECE_BYTES = 128 * 1024
REMEMBERED = 32
MOST_GROUPS = 256


class Hub:
    """Reads from the hub; downloads nothing. Blocking, and safe to use from several threads.

    ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HUB_OFFLINE`` mean what they mean everywhere.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._known: OrderedDict[tuple[str, str, str | None], tuple[Offer, ...]] = OrderedDict()
        self._lock = Lock()

    @property
    def endpoint(self) -> str:
        """The hub's address."""
        return hub_endpoint(self._environ)

    def offers(
        self, repository: str, *, revision: str | None = None, file: str | None = None
    ) -> tuple[Offer, ...]:
        """What the repository can be served from: each GGUF quantisation, and its safetensors.

        ``file`` is the name of a GGUF file, or a quantisation. Each offer is pinned to the commit
        that was read. Broken files are left out while there is another one.

        Raises:
            InvalidRequest: the name cannot be one of a repository.
            NotFound: no such repository, revision or file, or it is private.
            Forbidden: the repository is gated, and the token is not let in.
            InvalidModel: it has nothing that can be served.
            Unavailable: the hub cannot be reached, or is switched off.

        """
        with HubClient(self._environ) as client:
            snapshot = client.snapshot(repository, revision)
            key = (repository, snapshot.revision, file)
            with self._lock:
                if key in self._known:
                    self._known.move_to_end(key)
                    return self._known[key]
            found = tuple(
                Offer(facts=facts, path=None, repository=repository, revision=snapshot.revision)
                for facts in _facts(client, snapshot, file)
            )
        with self._lock:
            self._known[key] = found
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    def exact(self, offer: Offer) -> Offer:
        """The offer as its repository has it now: pinned to a commit, with the names of its files.

        One that was computed from the catalog knows neither.

        Raises:
            NotFound: the repository has no such weights any more.
            HydraError: as ``offers``.

        """
        if offer.facts.source is FactsSource.HUB:
            return offer
        facts, repository = offer.facts, offer.repository or ""
        is_gguf = facts.format is WeightFormat.GGUF
        found = self.offers(
            repository, revision=offer.revision, file=facts.quantization if is_gguf else None
        )
        for one in found:
            if one.facts.format is facts.format:
                return one
        raise NotFound(
            f"{repository} has no weights in {facts.format}, which the catalog says it has",
            hint="correct its entry in models.toml, or name another repository: hf:org/repo",
            param="model",
        )

    def wanted(self, model: str, offer: Offer, *, branch: str | None, allows_code: bool) -> Wanted:
        """What has to be fetched for an exact offer.

        Args:
            model: the MODEL as it was asked for.
            offer: pinned to a commit, see ``exact``.
            branch: the branch that leads to the commit, if one was asked for.
            allows_code: fetch the repository's Python code, too.

        Raises:
            DownloadFailed: the hub has no checksum of one of its files.
            HydraError: as ``offers``.

        """
        repository = offer.repository or ""
        with HubClient(self._environ) as client:
            snapshot = client.snapshot(repository, offer.revision)
        facts = offer.facts
        return Wanted(
            model=model,
            repository=repository,
            revision=snapshot.revision,
            branch=branch,
            format=facts.format,
            quantization=facts.quantization,
            files=wanted_files(facts, snapshot.sizes, snapshot.digests, allows_code=allows_code),
            allows_code=allows_code,
        )


def _facts(client: HubClient, snapshot: Snapshot, file: str | None) -> list[ModelFacts]:
    groups = shard_groups(snapshot.sizes)
    if file is not None:
        return read_models(client, snapshot, _chosen(snapshot, groups, file))
    facts: list[ModelFacts] = []
    if is_safetensors_model(snapshot.sizes):
        facts.append(_safetensors(client, snapshot))
    if groups:
        facts += read_models(client, snapshot, groups[:MOST_GROUPS])
    if not facts:
        refuse_without_weights(f"{snapshot.repository} on the hub", snapshot.sizes)
    return facts


def _safetensors(client: HubClient, snapshot: Snapshot) -> ModelFacts:
    if PIPELINE in snapshot.sizes:
        shards = pipeline_shards(snapshot.sizes)
        return diffusers_facts(
            _json(client, snapshot, PIPELINE),
            _tensors(client, snapshot, shards),
            _files(snapshot, shards),
            FactsSource.HUB,
        )
    index = _json(client, snapshot, INDEX) if INDEX in snapshot.sizes else None
    shards = shard_names(snapshot.sizes, index)
    missing = [name for name in shards if name not in snapshot.sizes]
    if missing:
        raise InvalidModel(
            f"{snapshot.repository} lacks {missing[0]}, which its {INDEX} names",
            hint="use another repository",
            param="model",
        )
    repository = Repository(
        config=_json(client, snapshot, CONFIG),
        tensors=_tensors(client, snapshot, shards),
        files=_files(snapshot, shards),
        names=frozenset(snapshot.sizes),
        has_template_in_tokenizer=TOKENIZER_CONFIG in snapshot.sizes
        and has_chat_template(_json(client, snapshot, TOKENIZER_CONFIG)),
    )
    return safetensors_facts(repository, FactsSource.HUB)


def _tensors(
    client: HubClient, snapshot: Snapshot, shards: tuple[str, ...]
) -> tuple[SafeTensor, ...]:
    def read(name: str) -> tuple[SafeTensor, ...]:
        file = RemoteFile(client, snapshot, name, first_piece_bytes=FIRST_PIECE_BYTES)
        try:
            return read_tensors(file, snapshot.sizes[name])
        except ValueError as error:
            raise _unusable(snapshot, name, error) from error

    with ThreadPoolExecutor(MOST_CONNECTIONS) as pool:
        return tuple(tensor for shard in pool.map(read, shards) for tensor in shard)


def _json(client: HubClient, snapshot: Snapshot, name: str) -> JsonTable:
    size = snapshot.sizes[name]
    if size > JSON_LIMIT_BYTES:
        raise _unusable(snapshot, name, ValueError(f"it has {size:,} bytes"))
    try:
        return json_table(client.read(snapshot, name, 0, size))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _unusable(snapshot, name, error) from error


def _chosen(snapshot: Snapshot, groups: list[tuple[str, ...]], file: str) -> list[tuple[str, ...]]:
    """The model that has this file, or is quantised like this."""
    named = [group for group in groups if file in group]
    if not named:
        named = [group for group in groups if file in {PurePosixPath(one).name for one in group}]
    if not named:
        wanted = file.upper()
        named = [group for group in groups if quantization_in_name(group[0]) == wanted]
    if named:
        return named[:1]
    some = [group[0] for group in groups][:5]
    raise NotFound(
        f"{snapshot.repository} has no GGUF model {file!r}",
        hint=f"it has {', '.join(some)}" if some else "it has no GGUF file at all",
        param="model",
    )


def _files(snapshot: Snapshot, names: tuple[str, ...]) -> tuple[WeightFile, ...]:
    return tuple(WeightFile(name=name, size_bytes=snapshot.sizes[name]) for name in names)


def _unusable(snapshot: Snapshot, name: str, error: Exception) -> InvalidModel:
    return InvalidModel(
        f"{name} of {snapshot.repository} is not usable: {error}",
        hint="use another repository",
        param="model",
    )
