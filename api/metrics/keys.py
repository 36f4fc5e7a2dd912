"""What each key used, for whoever asks for it: every key is a series more of each name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from api.prometheus import Family, Kind, Labels, Sample, columns
from hydra_box.gateway.measures import KeyMeasures
from hydra_box.types import NANOS, Outcome


def key_families(keys: Sequence[KeyMeasures]) -> Iterator[Family]:
    """Requests, tokens and costs since the daemon started, of all services."""
    rows = [(key, _labels(key)) for key in keys]
    outcomes = (
        Sample(key.requests.get(outcome, 0), {**labels, "outcome": outcome.value})
        for key, labels in rows
        for outcome in Outcome
    )
    yield Family(
        "hydra_box_key_requests_finished_total",
        Kind.COUNTER,
        "A key's requests that are over, by how they ended.",
        tuple(outcomes),
    )
    yield from columns(
        Kind.COUNTER,
        "hydra_box_key_",
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
                "cost_total",
                "In the box's unit of account, where services have a price.",
                lambda one: one.used.cost_nanos / NANOS,
            ),
            (
                "energy_joules_total",
                "What GPUs drew for its requests, where there are some.",
                lambda one: one.used.energy_millijoules / 1000 or None,
            ),
        ),
    )


def _labels(key: KeyMeasures) -> Labels:
    return {"key_id": key.key_id, "key": key.key_name, "user": key.user_name}
