"""Models on this machine's disks, and the downloads that bring them there."""

from __future__ import annotations

from enum import StrEnum

from hydra_box.types.base import Frozen
from hydra_box.types.models import WeightFormat


class ModelFile(Frozen, frozen=True, kw_only=True):
    """One file that a model is served from."""

    name: str
    """Relative to the repository or the directory."""
    size_bytes: int
    digest: str | None = None
    """Lower-case hex. 64 digits: SHA-256 of the content; 40: SHA-1 of it as a blob of git, which
    is what the hub has of small files. It is the blob's name in the hub's cache."""


class DownloadState(StrEnum):
    """Where a download is in its life."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    PAUSED = "paused"
    DONE = "done"
    """Every file is there, and has the hub's checksum."""
    FAILED = "failed"
    """What arrived is kept; resuming goes on from there."""


class Download(Frozen, frozen=True, kw_only=True):
    """Files of one model to be fetched from the hub into its cache: one row of the queue."""

    id: str
    """``dl-`` and 12 hex digits."""
    model: str
    """The MODEL as it was asked for."""
    repository: str
    revision: str
    """The commit."""
    branch: str | None = None
    """The branch that led to it, if one did."""
    format: WeightFormat
    quantization: str | None = None
    files: tuple[ModelFile, ...]
    """Those of the weights first, in order; each has its digest."""
    allows_code: bool = False
    """Its owner lets the model bring Python code, which the engine runs."""
    pulled: bool = False
    """Somebody asked for the model itself; else only services want it."""
    state: DownloadState = DownloadState.QUEUED
    created_at: float
    finished_at: float | None = None
    reason: str | None = None
    """Why it FAILED, or what it is waiting for: the fact, then the hint."""

    @property
    def total_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(one.size_bytes for one in self.files)


class Transfer(Frozen, frozen=True, kw_only=True):
    """How far a download is, as it is now."""

    done_bytes: int
    total_bytes: int
    bytes_per_second: float = 0.0
    """Over the last seconds."""
    remaining_seconds: float | None = None
    """At that speed; None: it does not move."""


class StoredAs(StrEnum):
    """How a model came to be in the library, and what removing it does."""

    HUB = "hub"
    """In the hub's cache: its files are deleted, those that other models share excepted."""
    REFERENCE = "reference"
    """Another program's files, or its owner's: only the library forgets them."""
    COPY = "copy"
    """A copy in the state directory, which is deleted."""


class StoredModel(Frozen, frozen=True, kw_only=True):
    """A whole model on a disk of this machine: one row of the library."""

    id: str
    """``mdl-`` and 12 hex digits."""
    name: str
    """What deploys it: ``hf:org/repo:Q8_0``, or the name that it was imported by."""
    stored_as: StoredAs
    path: str
    """The first GGUF file, or the safetensors directory; absolute."""
    format: WeightFormat
    quantization: str | None = None
    repository: str | None = None
    revision: str | None = None
    """The commit on the hub."""
    files: tuple[ModelFile, ...]
    allows_code: bool = False
    """Its owner lets the model bring Python code, which the engine runs."""
    added_at: float
    verified_at: float | None = None
    """When every file last had its checksum."""
    last_used_at: float | None = None
    """When an instance was last started on it."""
    problem: str | None = None
    """What the last verification found."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(one.size_bytes for one in self.files)


class FoundModel(Frozen, frozen=True, kw_only=True):
    """A model in another program's store on this machine, which could be imported."""

    name: str
    """What it would be called here."""
    source: str
    """The program: ``Ollama``, ``LM Studio``, ``Hugging Face cache``."""
    path: str
    """What ``import`` takes: the first GGUF file, or the safetensors directory."""
    format: WeightFormat
    quantization: str | None
    size_bytes: int
    projector: str | None = None
    """The file of a vision projector that belongs to it, where it lies apart."""
    in_library: bool = False
