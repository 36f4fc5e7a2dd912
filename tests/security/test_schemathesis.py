"""schemathesis over the whole API document, against a running box: no 5xx but the documented ones.

Every operation gets requests that the document allows and requests that it forbids, the same ones
in every run. Some of them name what the box really has. An answer must have a documented status,
its media type and its shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
)

from api.openapi import build_document
from hydra_box.messages import DeployRequest, ServiceView
from hydra_box.types import Scope
from tests.boxes import RunningBox

EXAMPLES = 6
"""Of each kind, for each operation."""
SECONDS = 120.0

NOT_RUN = {
    "POST /api/v1/restart": "the daemon would be replaced while others ask it",
    "POST /api/v1/engines/install": "an engine would be fetched and built for minutes",
}
"""Operations that are left out, and why; each has tests of its own."""

STREAMS = ("/events", "/live", "/logs")
"""How the paths of answers without an end end."""

Operation = APIOperation[Any, Any, Any, Any]
OPERATIONS: dict[str, Operation] = {}
for found in schemathesis.openapi.from_dict(build_document()).get_all_operations():
    assert isinstance(found, Ok)
    OPERATIONS[found.ok().label] = found.ok()
RUN = sorted(set(OPERATIONS) - set(NOT_RUN), key=lambda label: ("DELETE" in label, label))


def takes_anything(operation: Operation) -> bool:
    """Whether there is anything in a request that a document may forbid."""
    return bool(operation.body.items or operation.query.items or operation.path_parameters.items)


TURNS = [
    pytest.param(label, kind, id=f"{kind.value}-{label}")
    for kind in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    for label in RUN
    if kind is GenerationMode.POSITIVE or takes_anything(OPERATIONS[label])
]


@dataclass
class Target:
    """The box, what it has, and what it answered."""

    running: RunningBox
    service: ServiceView
    key: str
    admin_key: str
    statuses: dict[str, set[int]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, short_directory: Any) -> Iterator[Target]:
    running = RunningBox(short_directory / "fuzzed", {})
    try:
        service = running.deploy(DeployRequest(model="demo", name="demo"))
        key, admin_key = running.key("app", Scope.INFERENCE), running.key("root", Scope.ADMIN)
        yield Target(running, service, key, admin_key)
    finally:
        running.stop()


@pytest.mark.parametrize("label", NOT_RUN)
def test_what_is_left_out_is_in_the_document_and_told(label: str) -> None:
    assert label in OPERATIONS
    pytest.skip(f"{label}: {NOT_RUN[label]}")


@pytest.mark.parametrize(("label", "kind"), TURNS)
def test_an_operation_answers_as_the_document_says(
    target: Target, label: str, kind: GenerationMode
) -> None:
    operation = OPERATIONS[label]
    turns = iter(range(10**9))

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=kind))
    def ask(case: Case[Any]) -> None:
        if next(turns) % 2:
            name_real_things(case, target)
        check(case, send(case, target), target)

    ask()


def name_real_things(case: Case[Any], target: Target) -> None:
    """Put what the box has in the place of names that nothing has."""
    real = {"name": "demo", "engine": "llama.cpp", "id": "demo"}
    for name in case.path_parameters or {}:
        if name in real:
            case.path_parameters[name] = real[name]
    if isinstance(case.body, dict) and "model" in case.body:
        inference = case.path.startswith("/v1")
        case.body["model"] = target.service.access_name if inference else "demo"
        if inference:
            case.body["max_tokens"] = 2


def send(case: Case[Any], target: Target) -> requests.Response:
    """Ask as an admin, or as an application; of a stream only its beginning is read."""
    key = target.key if case.path.startswith("/v1") else target.admin_key
    asked = case.as_transport_kwargs(
        base_url=target.running.url, headers={"Authorization": f"Bearer {key}"}
    )
    streams = case.path.endswith(STREAMS)
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(**asked, stream=streams, timeout=SECONDS)
        if streams:
            response._content = b""
            response.close()
    return response


def check(case: Case[Any], response: requests.Response, target: Target) -> None:
    label = case.operation.label
    target.statuses.setdefault(label, set()).add(response.status_code)
    documented = set(case.operation.definition.raw["responses"])
    told = f"{case.as_curl_command()}\n{response.status_code} {response.text[:500]}"
    if response.status_code >= 500:
        assert response.status_code in (502, 503, 507), told
        assert response.json()["error"]["code"] != "internal_error", told
    if response.status_code >= 400 and response.text:
        assert response.json()["error"]["message"], told
    assert str(response.status_code) in documented, told
    if response.content:
        case.validate_response(
            response, checks=[content_type_conformance, response_schema_conformance]
        )


def test_the_box_is_as_healthy_as_before(target: Target) -> None:
    assert target.running.process.poll() is None
    log = target.running.output.read_text()
    assert "Traceback" not in log, log[-5000:]
    assert "failed unexpectedly" not in log
    assert any(200 in found for found in target.statuses.values())
