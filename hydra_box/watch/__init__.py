"""Watching: what lives, what grows, what runs out; each rule is in ``plan/``.

- ``liveness``: instances that hang are replaced.
- ``growth``: instances that hold more memory than they were granted.
- ``gpus``: GPUs that are lost, hot or short of power.
- ``host``: disks, memory, the daemon itself.
- ``certificate``: what https is spoken with.
- ``clock``, ``deaths``: a clock that is set, engines that die again and again.
"""

from hydra_box.watch.watching import Rooms, Watching, watching

__all__ = ["Rooms", "Watching", "watching"]
