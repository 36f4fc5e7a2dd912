"""Upstreams as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hydra_box.cli.output import ago, style, table
from hydra_box.messages import UpstreamView


def upstreams(by_service: Mapping[str, Sequence[UpstreamView]]) -> str:
    """One line an upstream, and below it why it is not healthy."""
    views = [(service, one) for service, found in by_service.items() for one in found]
    if not views:
        return "no upstreams; hydra-box upstreams add SERVICE URL --model NAME sets one"
    headers = (
        *("SERVICE", "UPSTREAM", "HEALTH", "URL", "MODEL", "KEY"),
        *("WEIGHT", "REQUESTS", "CHECKED"),
    )
    rows = [
        (
            service,
            one.id,
            _health(one),
            one.base_url,
            one.model,
            "yes" if one.has_key else "-",
            f"{one.weight:g}",
            f"{one.requests_in_flight}/{one.most_requests}",
            ago(one.checked_at),
        )
        for service, one in views
    ]
    head, *lines = table(headers, rows, right=(6, 7)).split("\n")
    told = [head]
    for line, (_, one) in zip(lines, views, strict=True):
        told.append(line)
        if one.reason:
            told.append(style(f"  {one.reason}", dim=True))
    return "\n".join(told)


def _health(one: UpstreamView) -> str:
    if one.healthy:
        return style("healthy", fg="green")
    if one.reason is None:
        return style("unchecked", fg="yellow")
    return style("not healthy", fg="red")
