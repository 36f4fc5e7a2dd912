"""What this machine has: GPUs through NVML, the rest through psutil, /proc and /sys.

- ``probe``: a look at the machine; ``snapshot`` is a single one.
- ``patience``: looks that end, also when the driver hangs.
- ``nvml``: the GPUs, NVML kept open from look to look.
- ``readings``: what one GPU says of itself, and how GPUs are linked.
- ``conditions``: what is wrong with GPUs, in words with a hint.
- ``host``: CPU, memory, disk.
"""

from hydra_box.hardware.probe import Probe, looks, snapshot

__all__ = ["Probe", "looks", "snapshot"]
