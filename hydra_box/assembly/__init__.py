"""The assembly: every room, wired; the only place that knows them all."""

from hydra_box.assembly.everything import assemble

__all__ = ["assemble"]
