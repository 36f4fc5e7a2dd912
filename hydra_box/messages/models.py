"""The catalog, the library and its downloads, as they are shown."""

from __future__ import annotations

from hydra_box.messages.base import Request
from hydra_box.types import (
    DownloadState,
    EngineName,
    Frozen,
    Hosting,
    Modality,
    ModelFile,
    StoredAs,
    Transfer,
    WeightFormat,
)


class PullRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/downloads``: a model to fetch, whatever serves it later."""

    model: str
    """A catalog id, or ``hf:org/repo[:file or quantisation][@revision]``."""
    quantization: str | None = None
    engine: str | None = None
    """Fetch what this engine reads."""
    allow_code: bool = False
    """Fetch the Python code that the repository brings, too: an engine runs it as this user."""


class ImportRequest(Request, frozen=True, kw_only=True):
    """Body of ``POST /api/v1/library``: files on this machine that become one of its models."""

    path: str
    """A GGUF file (the first, of several) or a directory with safetensors; absolute."""
    copy: bool = False
    """Copy the files into the state directory; else they are used where they are."""
    name: str | None = None
    """What deploys it; None: made from the file's name."""
    projector: str | None = None
    """The GGUF file of its vision projector, where it lies apart."""


class DownloadView(Frozen, frozen=True, kw_only=True):
    """A download, as shown."""

    id: str
    model: str
    repository: str
    revision: str
    format: WeightFormat
    quantization: str | None
    state: DownloadState
    files: tuple[ModelFile, ...]
    transfer: Transfer
    created_at: float
    finished_at: float | None
    reason: str | None
    services: tuple[str, ...]
    """Names of the services that wait for it."""


class StoredModelView(Frozen, frozen=True, kw_only=True):
    """A model of the library, as shown."""

    id: str
    name: str
    stored_as: StoredAs
    path: str
    format: WeightFormat
    quantization: str | None
    repository: str | None
    revision: str | None
    files: tuple[ModelFile, ...]
    size_bytes: int
    allows_code: bool
    added_at: float
    verified_at: float | None
    last_used_at: float | None
    problem: str | None
    services: tuple[str, ...]
    """Names of the services that it is served by."""


class RemovedModel(Frozen, frozen=True, kw_only=True):
    """The answer to removing a model of the library."""

    name: str
    freed_bytes: int


class ModelView(Frozen, frozen=True, kw_only=True):
    """A catalog entry as listed: the model, what this box would do with it, who uses it."""

    id: str
    name: str
    modality: Modality
    parameters: int | None
    active_parameters: int | None
    context_length: int
    publisher: str | None
    license: str | None
    gated: bool
    """Its publisher asks for a licence to be accepted on the hub."""
    description: str
    tags: tuple[str, ...]
    hosting: tuple[Hosting, ...]
    price_per_million_input_tokens: float | None
    price_per_million_output_tokens: float | None
    minimum_versions: dict[str, str]
    """Engine name to the oldest version that serves it."""
    repositories: tuple[str, ...]
    """On the hub."""
    quantizations: tuple[str, ...]
    """Those on offer, of both formats."""
    on_disk: bool
    fits: bool
    engine: EngineName | None
    quantization: str | None
    """What this box would serve."""
    device: str | None
    planned_context_length: int | None
    reason: str
    """Why it fits there, or why not; one sentence."""
    services: tuple[str, ...]
    """Names of the services whose base model it is."""
