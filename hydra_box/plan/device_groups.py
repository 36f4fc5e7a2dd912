"""Which devices the instances of a service get: how many fit, and on which GPUs.

A ``Ground`` says where an instance may stand: on the CPU, on any ``width`` GPUs of one of its
pools, or on exactly the GPUs of its one pool. GPUs of a pool are equal, so that tensor parallel
ranks wait for nobody.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

from hydra_box.plan.sizes import MOST_INSTANCES
from hydra_box.types import CPU, Accelerator, Frozen, Gpu


class Ground(Frozen, frozen=True, kw_only=True):
    """Where an instance may stand."""

    accelerator: Accelerator
    pools: tuple[tuple[Gpu, ...], ...] = ()
    width: int = 0
    """GPUs of one instance; 0 on the CPU."""
    exact: bool = False
    """The GPUs of the first pool in this order, shared by all instances."""

    @property
    def sample(self) -> tuple[str, ...]:
        """Devices of one instance, to estimate on."""
        if not self.width:
            return (CPU,)
        return tuple(one.uuid for one in self.pools[0][: self.width])


ON_CPU = Ground(accelerator=Accelerator.CPU)


class Needs(Frozen, frozen=True, kw_only=True):
    """Bytes that one instance takes."""

    gpus: tuple[int, ...]
    """By position, as many as the ground is wide."""
    cpu: int

    @property
    def rank(self) -> int:
        """The most on any GPU."""
        return max(self.gpus, default=0)


def on_one(gpus: Sequence[Gpu]) -> Ground:
    """Any one of these GPUs; a MIG instance counts as one."""
    return Ground(accelerator=Accelerator.CUDA, pools=(tuple(gpus),), width=1)


def on_equal(gpus: Sequence[Gpu], width: int) -> Ground | None:
    """Any ``width`` equal ones of these GPUs, never parts of a MIG GPU; None: there are none."""
    kinds: dict[tuple[str, int], list[Gpu]] = defaultdict(list)
    for gpu in whole(gpus):
        kinds[gpu.name, gpu.total_bytes].append(gpu)
    pools = tuple(tuple(pool) for pool in kinds.values() if len(pool) >= width)
    return Ground(accelerator=Accelerator.CUDA, pools=pools, width=width) if pools else None


def on_exactly(gpus: Sequence[Gpu]) -> Ground:
    """These GPUs together, in this order."""
    pools = (tuple(gpus),)
    return Ground(accelerator=Accelerator.CUDA, pools=pools, width=len(gpus), exact=True)


def whole(gpus: Sequence[Gpu]) -> list[Gpu]:
    """The GPUs that are no part of another: MIG instances cannot work together."""
    return [one for one in gpus if one.parent_uuid is None and one.mig_profile is None]


def capacity(ground: Ground, needs: Needs, available: Mapping[str, int]) -> int:
    """How many such instances fit at once, at most 64.

    ``n`` instances on ``width`` different GPUs each fit a pool if and only if the sum over its
    GPUs of ``min(n, how many fit that GPU alone)`` is at least ``n * width``.
    """
    bound = min(MOST_INSTANCES, available[CPU] // needs.cpu if needs.cpu else MOST_INSTANCES)
    if not ground.width:
        return bound
    if ground.exact:
        pairs = zip(ground.pools[0], needs.gpus, strict=True)
        return min(bound, *(available[gpu.uuid] // max(1, need) for gpu, need in pairs))
    need = max(1, needs.rank)
    rooms = ([available[one.uuid] // need for one in pool] for pool in ground.pools)
    return min(bound, sum(_sets(room, ground.width) for room in rooms))


def _sets(rooms: Sequence[int], width: int) -> int:
    count = min(MOST_INSTANCES, sum(rooms) // width)
    while count and sum(min(room, count) for room in rooms) < count * width:
        count -= 1
    return count


def assign(
    ground: Ground,
    needs: Needs,
    available: Mapping[str, int],
    occupants: Mapping[str, int],
    count: int,
) -> tuple[tuple[str, ...], ...]:
    """The devices of each of ``count`` instances, which ``capacity`` says fit.

    Of the GPUs on which the rest still fits: those with the fewest instances, ours of other
    services included; then those with the most NVLinks among them, then those that share PCIe
    bridges; then those with the most room; then the first.
    """
    if not ground.width:
        return ((CPU,),) * count
    if ground.exact:
        return (ground.sample,) * count
    left = dict(available)
    here = Counter(occupants)
    chosen = []
    for rest in range(count - 1, -1, -1):
        group = _next_group(ground, needs, left, here, rest)
        for gpu in group:
            left[gpu.uuid] -= needs.rank
            here[gpu.uuid] += 1
        left[CPU] -= needs.cpu
        chosen.append(tuple(one.uuid for one in group))
    return tuple(chosen)


def _next_group(
    ground: Ground, needs: Needs, left: Mapping[str, int], here: Counter[str], rest: int
) -> tuple[Gpu, ...]:
    def rank(group: tuple[Gpu, ...]) -> tuple[float, ...]:
        ids = {one.uuid for one in group}
        nvlinks = sum(len(ids & set(one.nvlink_peers)) for one in group)
        bridges = sum(len(ids & set(one.pcie_peers)) for one in group)
        busy = sum(here[one] for one in ids)
        room = min(left[one] for one in ids)
        return (busy, -nvlinks, -bridges, -room, *(one.index for one in group))

    def leaves_room(group: tuple[Gpu, ...]) -> bool:
        after = {**left, CPU: left[CPU] - needs.cpu}
        for gpu in group:
            after[gpu.uuid] -= needs.rank
        return capacity(ground, needs, after) >= rest

    groups = [
        group
        for pool in ground.pools
        for group in combinations(
            [one for one in pool if left[one.uuid] >= needs.rank], ground.width
        )
    ]
    return next(group for group in sorted(groups, key=rank) if leaves_room(group))
