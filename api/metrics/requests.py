"""What each service's requests came to, with nobody's name: tokens, outcomes, times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from api.metrics.labels import service_labels
from api.prometheus import Family, Kind, Labels, Sample, columns
from hydra_box.errors import (
    Forbidden,
    InvalidRequest,
    ModelNotFound,
    Unauthenticated,
)
from hydra_box.gateway.measures import ServiceMeasures
from hydra_box.gateway.relay import INFERENCE
from hydra_box.messages import ServiceView
from hydra_box.types import NANOS, Outcome

Row = tuple[ServiceMeasures, Labels]

ENDPOINTS = tuple(path.removeprefix("/") for path in INFERENCE)

REFUSALS = (Forbidden, InvalidRequest, ModelNotFound, Unauthenticated)
"""The usual ones, which are told of before they have happened."""


def refusal_family(refused: Mapping[str, int]) -> Family:
    """Requests that are in no service's numbers; nothing of it is a client's own word."""
    codes = sorted({*(one.code for one in REFUSALS), *refused})
    return Family(
        "hydra_box_requests_refused_total",
        Kind.COUNTER,
        "Requests that were refused before their service was known, by why.",
        tuple(Sample(refused.get(code, 0), {"code": code}) for code in codes),
    )


def request_families(
    views: Sequence[ServiceView], measured: Mapping[str, ServiceMeasures]
) -> Iterator[Family]:
    """What was added up since the daemon started; ``measured`` by the id of the service."""
    rows = [(measured[view.id], service_labels(view)) for view in views]
    yield Family(
        "hydra_box_service_requests_finished_total",
        Kind.COUNTER,
        "Requests that are over, by how they ended.",
        tuple(sample for row in rows for sample in _outcomes(*row)),
    )
    yield from _counters(rows)
    yield from columns(
        Kind.HISTOGRAM,
        "hydra_box_service_",
        rows,
        (
            ("ttft_seconds", "To the first byte of a stream.", lambda one: one.ttft_seconds),
            (
                "tpot_seconds",
                "For each output token after the first, of a stream.",
                lambda one: one.tpot_seconds,
            ),
            (
                "request_duration_seconds",
                "From the arrival to the end, of what was not refused.",
                lambda one: one.duration_seconds,
            ),
        ),
    )


def _counters(rows: Sequence[Row]) -> Iterator[Family]:
    return columns(
        Kind.COUNTER,
        "hydra_box_service_",
        rows,
        (
            ("prompt_tokens_total", "Tokens read.", lambda one: one.used.prompt_tokens),
            (
                "cached_tokens_total",
                "Tokens of prompts that the engine had in its cache.",
                lambda one: one.used.cached_tokens,
            ),
            ("completion_tokens_total", "Tokens written.", lambda one: one.used.completion_tokens),
            (
                "reasoning_tokens_total",
                "Tokens written of thoughts, where the engine says so.",
                lambda one: one.used.reasoning_tokens,
            ),
            (
                "estimated_tokens_total",
                "Tokens read and written that the engine did not count.",
                lambda one: one.used.estimated_tokens,
            ),
            (
                "cost_total",
                "In the box's unit of account, where the service has a price.",
                lambda one: one.used.cost_nanos / NANOS,
            ),
            (
                "energy_joules_total",
                "What its GPUs drew for its requests, where there are some.",
                # A box without a GPU does not know, and has not used nothing.
                lambda one: one.used.energy_millijoules / 1000 or None,
            ),
        ),
    )


def _outcomes(one: ServiceMeasures, labels: Labels) -> Iterator[Sample]:
    """Those that did not happen too: a counter that begins with 1 has no growth to be seen."""
    for endpoint in dict.fromkeys((*ENDPOINTS, *(endpoint for endpoint, _ in one.requests))):
        for outcome in Outcome:
            count = one.requests.get((endpoint, outcome), 0)
            yield Sample(count, {**labels, "endpoint": endpoint, "outcome": outcome.value})
