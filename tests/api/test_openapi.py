from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from api.docs_page import render_page
from api.openapi import build_document

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    return build_document()


def operations(document: Json) -> dict[str, Json]:
    return {
        f"{method.upper()} {path}": operation
        for path, path_item in document["paths"].items()
        for method, operation in path_item.items()
    }


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return found + [one for inside in value.values() for one in references(inside)]
    if isinstance(value, list):
        return [one for inside in value for one in references(inside)]
    return []


def test_it_has_both_apis(document: Json) -> None:
    assert document["openapi"].startswith("3.1")
    assert set(operations(document)) == {
        "POST /v1/chat/completions",
        "POST /v1/completions",
        "POST /v1/embeddings",
        "GET /v1/models",
        "GET /v1/models/{id}",
        "GET /api/v1/status",
        "POST /api/v1/restart",
        "GET /api/v1/backup",
        "GET /api/v1/machine",
        "GET /api/v1/machine/live",
        "GET /metrics",
        "GET /api/v1/models",
        "GET /api/v1/models/{id}",
        "POST /api/v1/plan",
        "GET /api/v1/library",
        "POST /api/v1/library",
        "GET /api/v1/library/found",
        "GET /api/v1/library/{id}",
        "DELETE /api/v1/library/{id}",
        "POST /api/v1/library/{id}/verify",
        "GET /api/v1/downloads",
        "POST /api/v1/downloads",
        "GET /api/v1/downloads/{id}",
        "DELETE /api/v1/downloads/{id}",
        "POST /api/v1/downloads/{id}/pause",
        "POST /api/v1/downloads/{id}/resume",
        "GET /api/v1/events",
        "GET /api/v1/events/recent",
        "GET /api/v1/services",
        "GET /api/v1/services/live",
        "POST /api/v1/services",
        "GET /api/v1/services/{name}",
        "DELETE /api/v1/services/{name}",
        "POST /api/v1/services/{name}/scale",
        "POST /api/v1/services/{name}/edit",
        "POST /api/v1/services/{name}/start",
        "POST /api/v1/services/{name}/stop",
        "GET /api/v1/services/{name}/logs",
        "GET /api/v1/services/{name}/history",
        "GET /api/v1/services/{name}/upstreams",
        "POST /api/v1/services/{name}/upstreams",
        "PATCH /api/v1/services/{name}/upstreams/{id}",
        "DELETE /api/v1/services/{name}/upstreams/{id}",
        "POST /api/v1/services/{name}/upstreams/{id}/check",
        "GET /api/v1/keys",
        "POST /api/v1/keys",
        "GET /api/v1/keys/{name}",
        "PATCH /api/v1/keys/{name}",
        "DELETE /api/v1/keys/{name}",
        "POST /api/v1/keys/{name}/rotate",
        "GET /api/v1/users",
        "POST /api/v1/users",
        "GET /api/v1/users/{name}",
        "PATCH /api/v1/users/{name}",
        "DELETE /api/v1/users/{name}",
        "GET /api/v1/usage",
        "GET /api/v1/usage/requests",
        "GET /api/v1/engines",
        "POST /api/v1/engines/install",
        "POST /api/v1/engines/verify",
        "POST /api/v1/engines/pin",
        "POST /api/v1/engines/unpin",
        "DELETE /api/v1/engines/{engine}/{runtime}",
        "GET /healthz",
        "GET /readyz",
    }


def test_every_reference_leads_somewhere_and_nothing_is_left_over(document: Json) -> None:
    schemas = document["components"]["schemas"]
    named = {reference.rpartition("/")[2] for reference in references(document)}
    assert named == set(schemas)
    # What the daemon keeps to itself is not told.
    assert not {"ApiKey", "Instance", "Launch"} & named


def test_every_operation_is_described_and_named_once(document: Json) -> None:
    found = operations(document)
    ids = [operation["operationId"] for operation in found.values()]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in found.items():
        assert operation["summary"].endswith("."), name
        assert set(operation["tags"]) <= tags, name
        path_parameters = set(re.findall(r"{(\w+)}", name))
        declared = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert declared == path_parameters, name


def test_every_error_has_one_shape_and_all_but_health_needs_a_key(document: Json) -> None:
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["security"] == [{"key": []}]
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    for name, operation in operations(document).items():
        refusals = {
            status: answer for status, answer in operation["responses"].items() if status >= "400"
        }
        assert all(answer["content"] == error for answer in refusals.values()), name
        assert ("401" in refusals) == ("security" not in operation), name
        assert name.endswith("z") == (operation.get("security") == []), name


@pytest.mark.parametrize(
    ("name", "status", "media_type", "schema"),
    [
        ("POST /v1/chat/completions", "200", "application/json", "ChatCompletion"),
        ("POST /v1/chat/completions", "200", "text/event-stream", "ChatCompletionChunk"),
        ("POST /api/v1/services", "201", "application/json", "ServiceView"),
        ("POST /api/v1/services", "200", "application/json", "PlanView"),
        ("POST /api/v1/plan", "200", "application/json", "PlanView"),
        ("GET /api/v1/models/{id}", "200", "application/json", "ModelView"),
        ("DELETE /api/v1/services/{name}", "202", "application/json", "ServiceView"),
        ("POST /api/v1/keys", "201", "application/json", "CreatedKey"),
        ("GET /api/v1/events", "200", "text/event-stream; charset=utf-8", "Event"),
        ("GET /api/v1/machine/live", "200", "text/event-stream; charset=utf-8", "Machine"),
        ("GET /api/v1/services/live", "200", "text/event-stream; charset=utf-8", "ServicesUpdate"),
        ("GET /api/v1/services/{name}/history", "200", "application/json", "ServiceHistory"),
        ("POST /api/v1/engines/install", "200", "application/x-ndjson", "InstallProgress"),
        ("POST /api/v1/engines/verify", "200", "application/json", "Runtime"),
    ],
)
def test_answers_have_their_status_type_and_shape(
    document: Json, name: str, status: str, media_type: str, schema: str
) -> None:
    content = operations(document)[name]["responses"][status]["content"]
    assert content[media_type]["schema"] == {"$ref": f"#/components/schemas/{schema}"}


@pytest.mark.parametrize("what", ["scale", "edit"])
def test_changing_a_service_answers_it_or_the_plan(document: Json, what: str) -> None:
    answers = operations(document)[f"POST /api/v1/services/{{name}}/{what}"]["responses"]
    schema = answers["200"]["content"]["application/json"]["schema"]
    names = {one.rpartition("/")[2] for one in references(schema)}
    assert names == {"ServiceView", "PlanView"}


def test_shapes_say_what_fields_mean_and_refuse_what_is_unknown(document: Json) -> None:
    deploy = document["components"]["schemas"]["DeployRequest"]
    assert deploy["properties"]["model"]["description"].startswith("A catalog id, `hf:")
    assert deploy["required"] == ["model"]
    assert deploy["additionalProperties"] is False
    # The vocabulary is a package: the docstrings of its parts are found too.
    gpu = document["components"]["schemas"]["Gpu"]
    assert gpu["properties"]["nvlink_peers"]["description"].startswith("UUIDs of the GPUs")


class Page(HTMLParser):
    """Checks that tags are closed in order, and gathers what a browser would load or follow."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_an_edit_has_no_field_that_must_be_given_and_null_where_it_takes_away(
    document: Json,
) -> None:
    schema = document["components"]["schemas"]["EditKeyRequest"]
    assert schema["required"] == []
    takes_null = {
        name
        for name, one in schema["properties"].items()
        if {"type": "null"} in one.get("anyOf", ())
    }
    limits = {"requests_per_minute", "tokens_per_minute", "concurrent_requests"}
    assert takes_null == {"expires_at", "quota"} | limits
    assert schema["properties"]["disabled"]["description"].startswith("True: it is refused")


def test_the_page_is_whole_and_loads_nothing(document: Json) -> None:
    text = render_page(document)
    page = Page(text)
    assert page.open == []
    assert not page.tags & {"script", "img", "link", "iframe"}
    assert "http://" not in text
    assert "https://" not in text
    assert len(set(page.ids)) == len(page.ids)
    for link in page.links:
        assert link == "openapi.json" or link.removeprefix("#") in page.ids
    for name in operations(document):
        assert f"<code>{name.partition(' ')[2]}</code>" in text


def test_the_page_escapes_what_it_shows(document: Json) -> None:
    hostile = document | {"info": {"title": "<script>", "version": "1", "description": "a & <b>"}}
    text = render_page(hostile)
    assert "<script>" not in text
    assert "a &amp; &lt;b&gt;" in text
