"""Reading request bodies: strictly, into the struct that the handler takes."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from hydra_box.errors import InvalidRequest
from hydra_box.json_words import what_to_send

BODY_LIMIT_BYTES = 1024 * 1024
"""Largest body of the management API; that of the endpoint is a setting."""

SEE_DOCS = "/api/v1/docs shows what it takes"

_WHERE = re.compile(r" - at `(?:key in )?\$\.?(?P<path>.*)`$")
_MISSING = re.compile(r"missing required field `(?P<field>.*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<field>.*)`$")


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded by msgspec without any conversion of types.

    Litestar's own way turns ``"3"`` into 3 and loses where in the body a mistake stands.
    """

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            InvalidRequest: the client left while it was sending it.
        """
        try:
            return await super().body()
        except InternalServerException as error:
            raise InvalidRequest(
                "the connection was closed before the body's end", hint="send it again"
            ) from error

    async def json(self) -> Any:
        """The body as the struct that the matched handler takes.

        Raises:
            InvalidRequest: ``param`` is the JSON path of what is wrong.
        """
        field = self.route_handler.parsed_data_field
        if field is None:
            return await super().json()
        return decode_body(await self.body(), field.annotation)


def decode_body(body: bytes, type: type[msgspec.Struct]) -> msgspec.Struct:
    """A JSON body as a struct.

    Raises:
        InvalidRequest: ``param`` is the JSON path of what is wrong.
    """
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        raise _explain(str(error), type) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"the body is not UTF-8: {error.reason}", hint="send JSON in UTF-8"
        ) from error
    except msgspec.DecodeError as error:
        raise InvalidRequest(
            f"the body is not valid JSON: {error}", hint="send a JSON object"
        ) from error
    except RecursionError as error:
        raise InvalidRequest(
            "the body is nested too deeply", hint="send fewer lists and objects in each other"
        ) from error


def _explain(text: str, type: type[msgspec.Struct]) -> InvalidRequest:
    """Split msgspec's sentence into what is wrong and where."""
    where = _WHERE.search(text)
    path = where["path"] if where else ""
    what = text[: where.start()] if where else text
    if unknown := _UNKNOWN.search(what):
        field = unknown["field"]
        hint = _nearest(field, type.__struct_fields__)
        return InvalidRequest(f"unknown field {field!r}", hint=hint, param=_join(path, field))
    if missing := _MISSING.search(what):
        param = _join(path, missing["field"])
        return InvalidRequest(f"{param} is missing", hint=f"send {param!r}", param=param)
    hint = what_to_send(what) or SEE_DOCS
    what = what[:1].lower() + what[1:].replace("`", "")
    return InvalidRequest(f"{path or 'the body'}: {what}", hint=hint, param=path or None)


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _nearest(field: str, fields: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(field, fields, n=1)
    return f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(fields)}"
