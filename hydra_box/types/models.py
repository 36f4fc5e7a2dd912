"""Base models: what a model is, read from its files, and where its files are on offer."""

from __future__ import annotations

from enum import StrEnum

from hydra_box.types.base import Frozen


class Modality(StrEnum):
    """What a model takes and makes."""

    TEXT = "text"
    """Text in, text out."""
    VISION = "vision"
    """Text and images in, text out."""
    EMBEDDING = "embedding"
    RERANK = "rerank"
    IMAGE = "image"
    """Text in, an image out."""


class WeightFormat(StrEnum):
    """The file format of a model's weights; llama.cpp reads GGUF, vLLM reads safetensors."""

    GGUF = "gguf"
    SAFETENSORS = "safetensors"


class Hosting(StrEnum):
    """How the hosted product offers a model."""

    MAAS_BY_TOKEN = "maas-by-token"  # noqa: S105 - tokens of text
    MODEL_SERVICE = "model-service"


class CacheKind(StrEnum):
    """What one layer keeps of the tokens it has seen."""

    FULL = "full"
    """Keys and values of every token of the context."""
    SLIDING = "sliding"
    """Keys and values of the last ``window_tokens`` tokens."""
    LATENT = "latent"
    """Multi-head latent attention: one compressed vector a token, shared by all heads."""
    RECURRENT = "recurrent"
    """A state of fixed size for each sequence (Mamba, linear attention)."""
    NONE = "none"


class LayerCache(Frozen, frozen=True, kw_only=True):
    """The cache of one layer; elements, not bytes: the engine's KV type gives the bytes."""

    kind: CacheKind
    kv_heads: int = 0
    """Heads that keys and values have; 1 for LATENT."""
    key_length: int = 0
    """Elements of one head's key; for LATENT the latent's rank plus the rotary part."""
    value_length: int = 0
    """Elements of one head's value; for LATENT the latent's rank, which the key already holds."""
    window_tokens: int | None = None
    """SLIDING only."""
    state_bytes: int = 0
    """RECURRENT only: bytes a sequence, in the type that the engines keep it in (float32)."""


class WeightFile(Frozen, frozen=True, kw_only=True):
    """One file of weights; ``size_bytes`` is exact where the file or its hub could be asked."""

    name: str
    """Relative to the repository or directory."""
    size_bytes: int


class FactsSource(StrEnum):
    """Where the facts of a model were read."""

    FILE = "file"
    HUB = "hub"
    CATALOG = "catalog"
    """Computed from the shape in ``models.toml``, because the hub was not asked or not reached."""


class ModelFacts(Frozen, frozen=True, kw_only=True):
    """What is known of one set of weights of a model; nothing in here is guessed."""

    source: FactsSource
    format: WeightFormat
    architecture: str
    """``qwen2`` as GGUF names it, ``Qwen2ForCausalLM`` as ``config.json`` names it."""
    modality: Modality
    name: str | None = None
    quantization: str | None = None
    """``Q4_K_M``, ``AWQ``, ``GPTQ``, ``FP8``, ``MXFP4``, ``BF16``; None: not known."""
    dtype_bytes: float = 2.0
    """Bytes of one element of activations and of an unquantised cache in vLLM (bfloat16: 2)."""
    parameters: int
    context_length: int
    """Longest sequence the model was trained for, in tokens."""
    embedding_length: int
    """Width of the residual stream, in elements."""
    feed_forward_length: int
    """Width of the widest dense feed-forward layer (or of one expert, if there is no dense)."""
    heads: int
    """Query heads of an attention layer; the most of any layer."""
    head_length: int
    """Elements of one query head; the most of any layer."""
    vocabulary_size: int
    experts: int = 0
    experts_used: int = 0
    """Experts that work on one token."""
    expert_feed_forward_length: int = 0
    layers: tuple[LayerCache, ...]
    """One for each block, in order."""
    layer_weight_bytes: tuple[int, ...]
    """Bytes of each block's tensors, in the same order."""
    input_weight_bytes: int
    """The token embedding, which llama.cpp keeps on the CPU."""
    output_weight_bytes: int
    """The output matrix and norm; for tied embeddings the norm alone, see ``tied_embeddings``."""
    other_weight_bytes: int = 0
    """Tensors of no block: vision towers inside safetensors, rope tables."""
    tied_embeddings: bool = False
    """The token embedding is the output matrix too: llama.cpp loads it a second time on the
    output's device when that is a GPU."""
    projector_bytes: int = 0
    """A vision projector in a file of its own (``mmproj``), 0 if none is loaded."""
    files: tuple[WeightFile, ...]
    has_tokenizer: bool
    has_chat_template: bool
    has_pooling: bool = False
    """It is an embedding model, which says itself how to make one vector of many."""
    needs_code: bool = False
    """No engine knows its architecture: only the Python code in its repository can run it."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of all tensors, each once."""
        return (
            sum(self.layer_weight_bytes)
            + self.input_weight_bytes
            + self.output_weight_bytes
            + self.other_weight_bytes
            + self.projector_bytes
        )

    @property
    def size_bytes(self) -> int:
        """Bytes on the disk."""
        return sum(one.size_bytes for one in self.files)


class Offer(Frozen, frozen=True, kw_only=True):
    """One set of weights that a base model can be served from."""

    facts: ModelFacts
    path: str | None
    """The first GGUF file or the safetensors directory, if it is on this machine."""
    repository: str | None = None
    """``org/name`` on the hub."""
    revision: str | None = None


class ModelSpec(Frozen, frozen=True, kw_only=True):
    """A base model that can be served: a catalog entry, a hub repository or a local path."""

    id: str
    name: str
    modality: Modality
    context_length: int
    """Longest sequence the model was trained for, in tokens."""
    parameters: int | None = None
    active_parameters: int | None = None
    """Those that work on one token, in a mixture of experts."""
    publisher: str | None = None
    license: str | None = None
    gated: bool = False
    """The publisher lets only those download it who have accepted its licence on the hub."""
    description: str = ""
    tags: tuple[str, ...] = ()
    hosting: tuple[Hosting, ...] = (Hosting.MODEL_SERVICE,)
    minimum_versions: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    """Engine name to the oldest version that serves it."""
    price_per_million_input_tokens: float | None = None
    price_per_million_output_tokens: float | None = None
    """In the box's own unit of account; for MaaS by token."""
    offers: tuple[Offer, ...]
    """Never empty; the best quality first."""
