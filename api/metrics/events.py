"""What happened since the daemon started, by kind, for whoever looks at how often."""

from __future__ import annotations

from collections.abc import Mapping

from api.prometheus import Family, Kind, Sample

WATCHED = (
    *("instance.adopted", "instance.exited", "instance.outgrown"),
    *("runtime.rolled_back", "service.rolled_back"),
)
"""Those that are told of before they happen: a counter that begins with 1 shows no growth."""


def event_family(happened: Mapping[str, int]) -> Family:
    """A series a kind, of which there are some fifty."""
    return Family(
        "hydra_box_events_total",
        Kind.COUNTER,
        "Events since the daemon started.",
        tuple(
            Sample(happened.get(kind, 0), {"kind": kind}) for kind in sorted({*WATCHED, *happened})
        ),
    )
