"""The shapes of ``/v1``, for the API document only.

The gateway reads no more of a body than it must, and passes on every field that the engine
understands; these are the ones that all engines share. Facts from OpenAI's API reference.
"""

from __future__ import annotations

from typing import Any, Literal

from hydra_box.types import Frozen


class ChatMessage(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    """Text, or parts of text."""
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    """Functions that the assistant wants called."""
    tool_call_id: str | None = None
    """Of a ``tool`` message: the call that it answers."""


class StreamOptions(Frozen, frozen=True, kw_only=True):
    """How to stream."""

    include_usage: bool = False
    """Send the token counts in one more chunk before the end."""


class Sampling(Frozen, frozen=True, kw_only=True):
    """What chat and plain completions share."""

    model: str
    """The access name of a service: ``public/<name>`` or ``u-<12 hex>/<name>``."""
    stream: bool = False
    """Answer with server-sent events, one a token or few, and ``data: [DONE]`` at the end."""
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    """Most tokens to generate; None: until the model stops or the context is full."""
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    """How many answers, 1 to 128."""
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None


class ChatCompletionRequest(Sampling, frozen=True, kw_only=True):
    """Body of ``POST /v1/chat/completions``; further fields are passed to the engine."""

    messages: list[ChatMessage]
    max_completion_tokens: int | None = None
    """The newer name of ``max_tokens``."""
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    """``{"type": "json_object"}``, or ``json_schema`` with a schema to keep to."""
    logprobs: bool | None = None
    top_logprobs: int | None = None


class CompletionRequest(Sampling, frozen=True, kw_only=True):
    """Body of ``POST /v1/completions``; further fields are passed to the engine."""

    prompt: str | list[str | int | list[int]]
    """Text or tokens, one prompt or several."""
    echo: bool | None = None
    logprobs: int | None = None
    suffix: str | None = None


class EmbeddingRequest(Frozen, frozen=True, kw_only=True):
    """Body of ``POST /v1/embeddings``."""

    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] = "float"


class TokenUsage(Frozen, frozen=True, kw_only=True):
    """Tokens, as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatChoice(Frozen, frozen=True, kw_only=True):
    """One answer."""

    index: int
    message: ChatMessage
    finish_reason: Literal["stop", "length", "tool_calls"]
    logprobs: dict[str, Any] | None = None


class ChatCompletion(Frozen, frozen=True, kw_only=True):
    """The answer to a chat completion that does not stream."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    """The access name that was asked for."""
    choices: list[ChatChoice]
    usage: TokenUsage


class ChatDelta(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """What a chunk adds to an answer."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChatChunkChoice(Frozen, frozen=True, kw_only=True):
    """A part of one answer."""

    index: int
    delta: ChatDelta
    finish_reason: Literal["stop", "length", "tool_calls"] | None


class ChatCompletionChunk(Frozen, frozen=True, kw_only=True):
    """The data of one event of a chat completion that streams."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChatChunkChoice]
    """Empty in the chunk that has the usage."""
    usage: TokenUsage | None = None


class TextChoice(Frozen, frozen=True, kw_only=True):
    """One completion."""

    index: int
    text: str
    finish_reason: Literal["stop", "length"] | None
    logprobs: dict[str, Any] | None = None


class Completion(Frozen, frozen=True, kw_only=True):
    """The answer to a completion, and the data of each event of one that streams."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: TokenUsage | None = None


class Embedding(Frozen, frozen=True, kw_only=True):
    """The vector of one input."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    """Numbers, or their float32 bytes in base64 if that was asked for."""


class EmbeddingUsage(Frozen, frozen=True, kw_only=True):
    """Tokens of the inputs."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Frozen, frozen=True, kw_only=True):
    """The answer to an embedding request."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage


class Model(Frozen, frozen=True, kw_only=True):
    """A service that the key may call."""

    id: str
    """Its access name."""
    object: Literal["model"]
    created: int
    owned_by: str
    context_length: int | None = None
    """Tokens of prompt and answer together; of one that upstreams serve, where they tell it."""


class ModelList(Frozen, frozen=True, kw_only=True):
    """The answer of ``GET /v1/models``."""

    object: Literal["list"]
    data: list[Model]
