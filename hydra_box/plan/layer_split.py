"""How many layers of a llama.cpp instance each GPU gets.

llama.cpp divides the layers on GPUs by ``--tensor-split``. Whole numbers of layers as shares give
exactly those layers: layer ``i`` of ``n`` goes to the first GPU whose cumulated share is greater
than ``i / n`` (``llama_model_base::load_tensors``).
"""

from __future__ import annotations

from collections.abc import Sequence

from hydra_box.plan.layout import Layout, Site, changed, fits

REPAIRS = 4
"""How often a filling that turns out too full is tried again with less room."""


def even_split(layers: int, rooms: Sequence[int]) -> tuple[float, ...]:
    """Whole layers in proportion to the rooms, the largest remainders rounded up."""
    total = max(1, sum(rooms))
    exact = [layers * room / total for room in rooms]
    counts = [int(one) for one in exact]
    by_remainder = sorted(range(len(rooms)), key=lambda one: counts[one] - exact[one])
    for position in by_remainder[: layers - sum(counts)]:
        counts[position] += 1
    return tuple(float(one) for one in counts)


def fill(site: Site, layout: Layout) -> Layout | None:
    """As many layers as fit on the GPUs of an exact ground, the rest on the CPU.

    In proportion to the GPUs' room if all layers fit so; else each GPU is filled, from the last,
    which holds the output, to the first.

    Args:
        site: the machine.
        layout: one that has all its layers on the GPUs; its ``split`` does not matter.

    Returns:
        A layout that fits as often as is asked for; None: not one layer fits, or the CPU cannot
        hold the rest.
    """
    devices = layout.ground.sample
    rooms = [site.available[one] // site.instances for one in devices]
    blocks = layout.options.gpu_layers
    proportional = _split(site, layout, even_split(blocks, rooms))
    if fits(site, proportional):
        return proportional
    for _ in range(REPAIRS):
        counts = _filled(site, layout, rooms, blocks)
        if not sum(counts):
            return None
        found = _split(site, layout, tuple(float(one) for one in counts))
        if fits(site, found):
            return found
        over = [need - room for need, room in zip(found.needs.gpus, rooms, strict=True)]
        if max(over) <= 0:
            return None
        rooms = [room - max(0, one) for room, one in zip(rooms, over, strict=True)]
    return None


def _filled(site: Site, layout: Layout, rooms: Sequence[int], blocks: int) -> list[int]:
    counts = [0] * len(rooms)
    for position in range(len(rooms) - 1, -1, -1):
        low, high = 0, blocks - sum(counts)
        while low < high:
            middle = (low + high + 1) // 2
            trial = _trial(counts, position, middle, blocks)
            if _split(site, layout, trial).needs.gpus[position] <= rooms[position]:
                low = middle
            else:
                high = middle - 1
        counts[position] = low
    return counts


def _trial(counts: Sequence[int], position: int, count: int, blocks: int) -> tuple[float, ...]:
    """The layers so far, ``count`` on this GPU, and those that are left on the first one."""
    shares = [float(one) for one in counts]
    shares[position] = float(count)
    if position:
        shares[0] = blocks - sum(shares)
    return tuple(shares)


def _split(site: Site, layout: Layout, shares: tuple[float, ...]) -> Layout:
    return changed(site, layout, split=shares, gpu_layers=int(sum(shares)))
