"""What the document says of ``/v1``, whose handlers are raw ASGI and describe nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from api import openai_shapes as shapes

Json = dict[str, Any]

_REFUSALS = {
    "400": "A field is wrong (`param` names it), or the prompt is longer than the context.",
    "401": "No key, or one that is not valid (any more).",
    "403": "The key has no `inference` scope.",
    "404": "No service that the key may call has that access name; the hint has the nearest ones.",
    "413": "The body is over the limit.",
    "429": "Over a limit; come again after `Retry-After` seconds.",
    "502": "The engine failed at this request.",
    "503": "Loading, full or stopping; come again after `Retry-After` seconds.",
}


class Post(NamedTuple):
    """An operation with a body."""

    name: str
    summary: str
    body: type[Struct]
    answer: type[Struct]
    chunk: type[Struct] | None = None
    """The data of each event, when it streams."""


_POSTS = {
    "/v1/chat/completions": Post(
        "createChatCompletion",
        "Answer a conversation.",
        shapes.ChatCompletionRequest,
        shapes.ChatCompletion,
        shapes.ChatCompletionChunk,
    ),
    "/v1/completions": Post(
        "createCompletion",
        "Continue a text.",
        shapes.CompletionRequest,
        shapes.Completion,
        shapes.Completion,
    ),
    "/v1/embeddings": Post(
        "createEmbedding",
        "Turn texts into vectors.",
        shapes.EmbeddingRequest,
        shapes.EmbeddingList,
    ),
}
_MODEL_ID: Json = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "An access name; its slash may stand as it is.",
    "schema": {"type": "string"},
}


def reference(struct: type[Struct]) -> Json:
    """A pointer to a struct's schema."""
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def operations(error: Json) -> dict[str, Json]:
    """Path items of the endpoint.

    Args:
        error: the content of an error answer.
    """
    refusals = {
        status: {"description": text, "content": error} for status, text in _REFUSALS.items()
    }
    posts = {path: {"post": _post(post, refusals)} for path, post in _POSTS.items()}
    few = {status: refusals[status] for status in ("401", "403", "404")}
    models = _get("listModels", "The services that this key may call.", shapes.ModelList, few)
    model = _get("getModel", "One service.", shapes.Model, few)
    return {
        **posts,
        "/v1/models": {"get": models},
        "/v1/models/{id}": {"get": {**model, "parameters": [_MODEL_ID]}},
    }


def _post(post: Post, refusals: Json) -> Json:
    content = {"application/json": {"schema": reference(post.answer)}}
    if post.chunk is not None:
        content["text/event-stream"] = {"schema": reference(post.chunk)}
    body = {"application/json": {"schema": reference(post.body)}}
    return {
        "operationId": post.name,
        "summary": post.summary,
        "tags": ["inference"],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": {"description": "The answer.", "content": content}, **refusals},
    }


def _get(name: str, summary: str, answer: type[Struct], refusals: Json) -> Json:
    content = {"application/json": {"schema": reference(answer)}}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["inference"],
        "responses": {"200": {"description": "The answer.", "content": content}, **refusals},
    }
