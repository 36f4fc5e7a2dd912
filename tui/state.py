"""What the console knows of the box; only ``feed.py`` changes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from hydra_box.errors import HydraError
from hydra_box.messages import Attention, BoxStatus, ServicesUpdate, ServiceView
from hydra_box.types import Event, Machine, Runtime

SPEEDS_KEPT = 60
"""Seconds of tokens/s behind a sparkline."""
EVENTS_KEPT = 500


@dataclass
class BoxState:
    """One box, as it last was."""

    status: BoxStatus | None = None
    """As it was when the console connected."""
    services: dict[str, ServiceView] = field(default_factory=dict)
    """By id."""
    speeds: dict[str, deque[float]] = field(default_factory=dict)
    """Service id to its tokens/s, one a second, oldest first."""
    machine: Machine | None = None
    attention: tuple[Attention, ...] = ()
    runtimes: tuple[Runtime, ...] = ()
    """Best first, as the box has them."""
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    updated_at: float | None = None
    """When the services were last heard of; on the box's clock."""
    told_at: dict[str, float] = field(default_factory=dict)
    """Service id to when it was last told of: its uptimes are of that time."""
    lost_at: float | None = None
    """Since when the box does not answer; on the console's clock. None: it answers."""
    lost_because: HydraError | None = None

    @property
    def ever_connected(self) -> bool:
        """Whether the box has answered since the console was opened."""
        return self.status is not None

    def connected(self, status: BoxStatus) -> None:
        """The box answers; what it had before may be gone."""
        self.status = status
        self.lost_at = self.lost_because = None
        self.services = {view.id: view for view in status.services}
        self.told_at.clear()
        self.attention = status.attention

    def lost(self, at: float, because: HydraError) -> None:
        """The box does not answer (any more)."""
        if self.lost_at is None:
            self.lost_at = at
        self.lost_because = because

    def apply(self, update: ServicesUpdate) -> None:
        """What changed, and one more point of each sparkline."""
        self.updated_at = update.at
        for view in update.changed:
            self.services[view.id] = view
            self.told_at[view.id] = update.at
        for gone in update.removed:
            self.told_at.pop(gone, None)
            self.services.pop(gone, None)
            self.speeds.pop(gone, None)
        if update.attention is not None:
            self.attention = update.attention

    def tick(self) -> None:
        """One second has passed: each sparkline gets its next point."""
        for view in self.services.values():
            speeds = self.speeds.setdefault(view.id, deque(maxlen=SPEEDS_KEPT))
            speeds.append(view.stats.tokens_per_second)

    def age_seconds(self, view: ServiceView) -> float:
        """How long ago a service was told of, by the box's clock."""
        if self.updated_at is None:
            return 0.0
        return max(0.0, self.updated_at - self.told_at.get(view.id, self.updated_at))

    def by_name(self) -> Iterable[ServiceView]:
        """Every service, in the order it is shown."""
        return sorted(self.services.values(), key=lambda view: view.name)

    def named(self, name: str) -> ServiceView | None:
        """A service by its name."""
        return next((view for view in self.services.values() if view.name == name), None)
