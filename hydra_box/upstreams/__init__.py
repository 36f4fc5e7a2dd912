"""Upstreams: remote OpenAI-compatible endpoints that back public services.

``registry.py`` is the one writer. Each upstream has a ``watch.py``: the way to it, its health, and
who asks for that; ``keys.py`` keeps its key.
"""

from __future__ import annotations

from hydra_box.upstreams.keys import UpstreamKeys
from hydra_box.upstreams.registry import Upstreams

__all__ = ["UpstreamKeys", "Upstreams"]
