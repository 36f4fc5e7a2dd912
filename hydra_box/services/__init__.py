"""Services: what owners ask of them, what that makes of them, and how they are shown.

``desired.py`` is the one writer of desired state; the others decide, find and show.
"""

from __future__ import annotations

from hydra_box.services.deployer import Deployer
from hydra_box.services.manager import ServiceManager
from hydra_box.services.pinning import Pinning
from hydra_box.services.rollouts import Rollouts
from hydra_box.services.views import ServiceViews

__all__ = ["Deployer", "Pinning", "Rollouts", "ServiceManager", "ServiceViews"]
