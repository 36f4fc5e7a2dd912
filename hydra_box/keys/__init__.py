"""API keys: who holds one may come in, and as far as its terms say.

``ring.py`` is the one writer; ``door.py``, ``editing.py`` and ``rules.py`` decide, ``memory.py``
finds a key among the others, and ``secrets.py`` knows what one looks like.
"""

from __future__ import annotations

from hydra_box.keys.ring import KeyRing

__all__ = ["KeyRing"]
