"""The box as a whole."""

from __future__ import annotations

from hydra_box.messages.attention import Attention
from hydra_box.messages.services import ServiceView
from hydra_box.types import Frozen


class BoxStatus(Frozen, frozen=True, kw_only=True):
    """The answer of ``GET /api/v1/status``."""

    version: str
    pid: int
    url: str
    started_at: float
    state_directory: str
    user_id: str
    """The local user that owns what is deployed without saying otherwise."""
    runtimes: dict[str, str | None]
    """Engine name to the id of the runtime in use; None: none of its runtimes works. An engine that
    is not installed is not in it."""
    services: tuple[ServiceView, ...]
    attention: tuple[Attention, ...]


class RestartView(Frozen, frozen=True, kw_only=True):
    """The answer of ``POST /api/v1/restart``: the daemon that hands over.

    The one that follows has the same pid, and another ``started_at``.
    """

    version: str
    pid: int
    started_at: float


class Successor(Frozen, frozen=True, kw_only=True):
    """What ``hydra-box restart --wait`` tells of the daemon that followed."""

    pid: int
    version_before: str
    version: str
    seconds: float
    """From the question to the new daemon's first answer, requests under way included."""
    engine_pids: tuple[int, ...]
    """Of the engines that went on."""
    lost_pids: tuple[int, ...]
    """Of those that ended meanwhile."""
