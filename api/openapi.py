"""The API document: the management API as Litestar sees its handlers, and ``/v1`` beside it."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from enum import EnumType
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Response, get
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

from api import engines, events, health, machine, openai_shapes, services, usage
from api.docs_page import render_page
from api.openapi_v1 import operations, reference
from api.routes import health_router, management_router
from hydra_box import __version__, messages, types
from hydra_box.messages import InstallProgress, ServicesUpdate
from hydra_box.types import ErrorBody, Event, Machine

Json = dict[str, Any]

_SHAPES: tuple[ModuleType, ...] = (types, messages, health, openai_shapes)
_STREAMS: dict[str, type[msgspec.Struct]] = {
    engines.install.handler_name: InstallProgress,
    events.events.handler_name: Event,
    machine.machine_live.handler_name: Machine,
    services.services_live.handler_name: ServicesUpdate,
}
"""What each part of a stream is, by the name of its handler."""
_AS_CSV = usage.usage_requests.handler_name
"""What may be had as a table, too."""
_ERROR = {"application/json": {"schema": reference(ErrorBody)}}
_REFUSALS = {
    "400": "A value is wrong; `param` names it.",
    "401": "No key, or one that is not valid (any more).",
    "403": "The key has no `admin` scope, or the request came from another site.",
    "404": "Nothing has that name.",
    "409": "The name is taken, or this cannot be done now.",
    "503": "No usable engine, or the box is stopping.",
}
_REFERENCE = re.compile(r"#/components/schemas/(\w+)")
_DESCRIPTION = """\
One endpoint for every model that this machine serves (`/v1`, as OpenAI has it; the same paths \
work without `/v1`), and the management of the box (`/api/v1`).

A key goes into the header `Authorization: Bearer hb-...`: with the scope `inference` for `/v1`, \
with the scope `admin` for `/api/v1`. Over the owner's UNIX socket no key is needed. Every error \
has the same shape, `ErrorBody`."""
_TAGS = {
    "inference": "The endpoint for applications, as OpenAI's API has it.",
    "services": "What is deployed.",
    "upstreams": "Remote endpoints that serve public models, beside instances or alone.",
    "models": "What can be deployed, and what this box would do with it.",
    "library": "Models on this machine's disks.",
    "downloads": "Models on their way from the hub.",
    "machine": "The box: its status, hardware and events.",
    "engines": "The installed builds of the engines.",
    "users": "Who owns services and keys.",
    "keys": "Who may call what, and how much was used.",
    "health": "For whoever watches the daemon.",
}


@get("/api/v1/openapi.json", opt=health.OPEN, include_in_schema=False)
async def openapi_json() -> Response[bytes]:
    """The document."""
    return Response(await asyncio.to_thread(_document_bytes), media_type=MediaType.JSON)


@get("/api/v1/docs", opt=health.OPEN, include_in_schema=False)
async def docs() -> Response[str]:
    """The document as a page that loads nothing from elsewhere."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return Response(
        await asyncio.to_thread(_page),
        media_type=MediaType.HTML,
        headers={"Content-Security-Policy": policy},
    )


@cache
def _document_bytes() -> bytes:
    return msgspec.json.encode(build_document())


@cache
def _page() -> str:
    return render_page(build_document())


def build_document() -> Json:
    """The whole document, OpenAPI 3.1."""
    document = _management_document()
    for path_item in document["paths"].values():
        for method, operation in path_item.items():
            _refine(operation, method)
    document["paths"] = operations(_ERROR) | document["paths"]
    document["components"] = {
        "schemas": _needed(document["paths"], describe_structs()),
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
    }
    document["security"] = [{"key": []}]
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    # Docstrings have code in two backquotes, Markdown in one.
    refined: Json = msgspec.json.decode(msgspec.json.encode(document).replace(b"``", b"`"))
    return refined


def _needed(paths: Json, schemas: Json) -> Json:
    """The schemas that the paths refer to, directly or through each other."""
    found: Json = {}
    texts = [msgspec.json.encode(paths).decode()]
    while texts:
        for name in _REFERENCE.findall(texts.pop()):
            if name not in found:
                found[name] = schemas[name]
                texts.append(msgspec.json.encode(schemas[name]).decode())
    return dict(sorted(found.items()))


def describe_structs() -> Json:
    """JSON Schemas of all structs and enumerations, with the docstrings of their fields."""
    structs = [
        value
        for module in _SHAPES
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and _is_of(value, module)
        and value.__struct_fields__
    ]
    # What a query alone takes stands in no struct.
    enums = [one for one in vars(messages).values() if isinstance(one, EnumType)]
    _, schemas = msgspec.json.schema_components(
        [*structs, *enums], ref_template="#/components/schemas/{name}"
    )
    for struct in structs:
        for base in reversed(struct.__mro__):
            for field, text in _field_docstrings(base).items():
                schema = schemas[struct.__name__]["properties"][field]
                schema.setdefault("description", text)
    return schemas


def _is_of(struct: type, module: ModuleType) -> bool:
    """Whether a struct is written in a module, or in one of its parts if it is a package."""
    return f"{struct.__module__}.".startswith(f"{module.__name__}.")


def _management_document() -> Json:
    async def no_box() -> None:
        raise RuntimeError("this application only describes itself")

    app = Litestar(
        [management_router(), health_router()],
        dependencies={"box": Provide(no_box)},
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Hydra Box",
            version=__version__,
            description=_DESCRIPTION,
            use_handler_docstrings=True,
            operation_id_creator=lambda handler, _method, _path: handler.handler_name,
        ),
    )
    return app.openapi_schema.to_schema()


def _refine(operation: Json, method: str) -> None:
    """Put right what Litestar cannot know: our errors, our streams, our docstrings' first line."""
    summary, _, rest = operation["description"].partition("\n\n")
    operation |= {"summary": summary, "description": rest}
    answers = {status: one for status, one in operation["responses"].items() if status < "300"}
    for answer in answers.values():
        for media_type, content in answer.get("content", {}).items():
            content["schema"] = _answer_schema(operation, media_type, content["schema"])
        if operation["operationId"] == _AS_CSV:
            answer["content"]["text/csv"] = {"schema": {"type": "string"}}
    refusals = _REFUSALS
    if "health" in operation["tags"]:
        operation["security"] = []
        refusals = {"503": _REFUSALS["503"]}
    elif method == "get":
        refusals = {status: text for status, text in _REFUSALS.items() if status != "409"}
    operation["responses"] = {
        **{status: {**one, "description": "The answer."} for status, one in answers.items()},
        **{status: {"description": text, "content": _ERROR} for status, text in refusals.items()},
    }


def _answer_schema(operation: Json, media_type: str, schema: Json) -> Json:
    """The shape of an answer: of each part of a stream, and of what Litestar sees as anything."""
    if struct := _STREAMS.get(operation["operationId"]):
        return reference(struct)
    if media_type.startswith("text/"):
        return {"type": "string"}
    # A ``Response`` among the types that a handler returns has a status and a shape of its own.
    known = [one for one in schema.get("oneOf", ()) if one]
    return known[0] if len(known) == 1 else schema


def _field_docstrings(struct: type) -> dict[str, str]:
    """The strings that stand below a struct's own fields in its source."""
    if not any(_is_of(struct, module) for module in _SHAPES):
        return {}
    (definition,) = ast.parse(inspect.getsource(struct)).body
    found: dict[str, str] = {}
    for field, below in pairwise(getattr(definition, "body", [])):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found
