"""The one writer of actual state, and the life of the engine processes that it starts."""

from hydra_box.supervisor.supervisor import Supervisor

__all__ = ["Supervisor"]
