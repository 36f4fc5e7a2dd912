"""The API document as one page of HTML: no script, and nothing loaded from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec

Json = dict[str, Any]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #0a7d6c; }
@media (prefers-color-scheme: dark) { :root { --accent: #4fd1b8; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
code, pre { font: 0.875rem/1.5 ui-monospace, monospace; }
code { background: var(--soft); border-radius: 3px; padding: 0 0.25em; }
pre { background: var(--soft); border-radius: 6px; overflow-x: auto; padding: 0.75rem; }
pre code { background: none; padding: 0; }
h2 { border-bottom: 1px solid var(--line); margin-top: 2.5rem; }
details { border: 1px solid var(--line); border-radius: 6px; margin: 0.5rem 0; }
summary { cursor: pointer; padding: 0.5rem 0.75rem; }
details > div { border-top: 1px solid var(--line); padding: 0.25rem 0.75rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: 0.25rem 0.5rem; text-align: left;
  vertical-align: top; }
.method { color: var(--accent); display: inline-block; font-weight: 700; width: 4.5rem; }
a { color: var(--accent); }
"""


def render_page(document: Json) -> str:
    """The page for an OpenAPI 3.1 document."""
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    sections = "".join(_section(document, tag) for tag in document["tags"])
    schemas = "".join(
        _schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{title} API</h1>{_paragraphs(document['info']['description'])}"
        '<p>The same as a document for tools: <a href="openapi.json">openapi.json</a></p>'
        f"{sections}<h2>Shapes</h2>{schemas}</body></html>"
    )


def _section(document: Json, tag: Json) -> str:
    operations = "".join(
        _operation(path, method, operation)
        for path, path_item in document["paths"].items()
        for method, operation in path_item.items()
        if tag["name"] in operation["tags"]
    )
    return f"<h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>{operations}"


def _operation(path: str, method: str, operation: Json) -> str:
    parts = [_paragraphs(operation.get("description", ""))]
    if parameters := operation.get("parameters"):
        rows = "".join(_parameter(one) for one in parameters)
        parts.append(f"<h4>Parameters</h4><table>{rows}</table>")
    if body := operation.get("requestBody"):
        parts.append(f"<h4>Body</h4><p>{_content(body['content'])}</p>")
    rows = "".join(_response(*one) for one in operation["responses"].items())
    parts.append(f"<h4>Answers</h4><table>{rows}</table>")
    return (
        f'<details id="{escape(operation["operationId"])}"><summary>'
        f'<span class="method">{method.upper()}</span><code>{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary><div>{''.join(parts)}</div></details>"
    )


def _parameter(parameter: Json) -> str:
    need = "required" if parameter.get("required") else "optional"
    default = parameter["schema"].get("default")
    given = "" if default is None else f", default <code>{escape(_json(default))}</code>"
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code></td>"
        f"<td>{parameter['in']}, {need}{given}</td><td>{_type(parameter['schema'])} "
        f"{_inline(parameter.get('description', ''))}</td></tr>"
    )


def _response(status: str, response: Json) -> str:
    return (
        f"<tr><td>{escape(status)}</td><td>{_inline(response['description'])}</td>"
        f"<td>{_content(response.get('content', {}))}</td></tr>"
    )


def _content(content: Json) -> str:
    return "<br>".join(
        f"{escape(media_type)}: {_type(media['schema'])}" for media_type, media in content.items()
    )


def _schema(name: str, schema: Json) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{' *' if field in required else ''}</td>"
        f"<td>{_type(value)}</td><td>{_inline(value.get('description', ''))}</td></tr>"
        for field, value in schema.get("properties", {}).items()
    )
    values = ", ".join(f"<code>{escape(_json(value))}</code>" for value in schema.get("enum", []))
    return (
        f'<details id="shape-{escape(name)}"><summary><code>{escape(name)}</code> '
        f"{_inline(schema.get('description', ''))}</summary>"
        f"<div>{values}<table>{rows}</table></div></details>"
    )


def _type(schema: Json) -> str:
    """A schema in a few words, with links to the shapes it is made of."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(choice) for choice in choices)
    if "enum" in schema:
        return " | ".join(f"<code>{escape(_json(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        inside = schema.get("items") or {}
        return f"array of {_type(inside)}" if inside else "array"
    kind = schema.get("type", "any")
    return escape(" or ".join(kind) if isinstance(kind, list) else kind)


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part)


def _inline(text: str) -> str:
    """Text whose backquoted parts are code."""
    parts = escape(text).split("`")
    return "".join(
        f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts)
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
