"""What the engines say of themselves, under the same names for every engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from api.metrics.labels import instance_labels
from api.prometheus import Family, Kind, Labels, Sample, columns, gauge
from hydra_box.engines.metrics import EngineMetrics
from hydra_box.messages import InstanceView, ServiceView

Row = tuple[EngineMetrics, Labels]


def engine_families(
    views: Sequence[ServiceView], engines: Mapping[str, EngineMetrics | None]
) -> Iterator[Family]:
    """One set for each ready instance; ``engines`` by the id of the instance."""
    asked = [
        (engines[one.id], view, one)
        for view in views
        for one in view.instances
        if one.id in engines
    ]
    up = (Sample(int(told is not None), _labels(view, one)) for told, view, one in asked)
    yield gauge("hydra_box_engine_up", "1: it answered when asked for its counters.", *up)
    rows = [(told, _labels(view, one)) for told, view, one in asked if told is not None]
    yield from columns(
        Kind.GAUGE,
        "hydra_box_engine_",
        rows,
        (
            ("requests_running", "Sequences that it works on.", lambda one: one.running),
            ("requests_waiting", "Requests that wait inside it.", lambda one: one.waiting),
            ("kv_cache_used_ratio", "Of its KV cache.", lambda one: one.kv_cache_used_ratio),
            (
                "sequences_per_step",
                "Sequences in a forward pass, the mean since it was started.",
                lambda one: one.sequences_per_step,
            ),
        ),
    )
    yield from _counters(rows)
    yield from _histograms(rows)
    yield from _by_device(
        [(told, instance_labels(view, one)) for told, view, one in asked if told is not None]
    )


def _counters(rows: Sequence[Row]) -> Iterator[Family]:
    return columns(
        Kind.COUNTER,
        "hydra_box_engine_",
        rows,
        (
            ("prompt_tokens_total", "Tokens of prompts.", lambda one: one.prompt_tokens),
            (
                "cached_tokens_total",
                "Tokens of prompts that were in its cache.",
                lambda one: one.cached_tokens,
            ),
            ("completion_tokens_total", "Tokens written.", lambda one: one.completion_tokens),
            (
                "prefill_seconds_total",
                "Reading prompts, added up over the sequences.",
                lambda one: one.prefill_seconds,
            ),
            (
                "decode_seconds_total",
                "Writing answers, added up over the sequences.",
                lambda one: one.decode_seconds,
            ),
            ("steps_total", "Forward passes.", lambda one: one.steps),
            ("preemptions_total", "Sequences begun again for room.", lambda one: one.preemptions),
            ("drafts_total", "Times that tokens were guessed.", lambda one: one.drafts),
            ("drafted_tokens_total", "Tokens guessed.", lambda one: one.drafted_tokens),
            (
                "accepted_tokens_total",
                "Guessed tokens that were right.",
                lambda one: one.accepted_tokens,
            ),
        ),
    )


def _histograms(rows: Sequence[Row]) -> Iterator[Family]:
    return columns(
        Kind.HISTOGRAM,
        "hydra_box_engine_",
        rows,
        (
            ("ttft_seconds", "To the first token, as it says.", lambda one: one.ttft_seconds),
            ("tpot_seconds", "For each token after it.", lambda one: one.tpot_seconds),
            (
                "request_duration_seconds",
                "From a request's arrival to its end.",
                lambda one: one.duration_seconds,
            ),
        ),
    )


def _by_device(rows: Sequence[Row]) -> Iterator[Family]:
    """The load, with the labels that instances have."""
    return columns(
        Kind.GAUGE,
        "hydra_box_instance_",
        rows,
        (
            ("sequences_running", "Sequences that its engine works on.", lambda one: one.running),
            ("sequences_waiting", "Requests that wait inside its engine.", lambda one: one.waiting),
            ("kv_cache_used_ratio", "Of its KV cache.", lambda one: one.kv_cache_used_ratio),
        ),
    )


def _labels(view: ServiceView, instance: InstanceView) -> Labels:
    return {"service": view.name, "instance_id": instance.id, "engine": view.engine.value}
