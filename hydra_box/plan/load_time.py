"""How long a model takes from the start of its engine to its first token: estimated, then learned.

What is learned of one start serves for all: the part that came from the disk is known, and another
start that finds more or less of the weights in memory takes so much longer or shorter.
"""

from __future__ import annotations

from collections.abc import Iterable

from hydra_box.types import EngineName, Frozen, LoadTime, Way

START_SECONDS = {
    EngineName.LLAMA_CPP: 2.0,
    EngineName.VLLM: 60.0,
}
"""What an engine takes that was never measured here, beside its weights: vLLM compiles."""

DISK_BYTES_PER_SECOND = 500e6
"""Of a disk that was never measured: a SATA SSD."""

MEMORY_BYTES_PER_SECOND = 2e9
"""From memory to where the engine computes."""

ENOUGH_BYTES = 64 << 20
"""Read in one start, they tell how fast a disk is; less is over before anything is seen."""

SHORTEST_SECONDS = 0.1


class Weights(Frozen, frozen=True, kw_only=True):
    """The files of a model, as they lie there now."""

    size_bytes: int
    cold_bytes: int
    """Of these, what is not in the kernel's cache, so that it has to come from the disk."""
    disk: int
    """The disk's number; two models of one number share its bandwidth."""


NO_WEIGHTS = Weights(size_bytes=0, cold_bytes=0, disk=0)
"""Of a model that is not there: its start ends at once, with the reason."""


def load_time_id(way: Way) -> str:
    """The name of what is learned of a way: what decides how long it takes, known before a plan."""
    return f"{way.engine}/{'cpu' if way.on_cpu else 'auto'}/{way.model_path}"


def disk_speed(known: Iterable[LoadTime]) -> float:
    """Bytes a second from the disk, over all the starts that read enough to tell."""
    told = [one for one in known if one.cold_bytes >= ENOUGH_BYTES and one.reading_seconds > 0]
    seconds = sum(one.reading_seconds for one in told)
    return sum(one.cold_bytes for one in told) / seconds if seconds else DISK_BYTES_PER_SECOND


def load_seconds(
    engine: EngineName, weights: Weights, known: LoadTime | None, bytes_per_second: float
) -> float:
    """How long a start takes from its beginning.

    1. As long as this way took before, and so much more or less as more or less of its weights has
       to come from the disk now.
    2. Never measured: what such an engine takes, and its weights from disk to where it computes.

    Args:
        engine: which.
        weights: as they lie there now.
        known: what was learned of this way.
        bytes_per_second: from the disk.
    """
    if known is None:
        to_memory = weights.size_bytes / MEMORY_BYTES_PER_SECOND
        seconds = START_SECONDS[engine] + to_memory + weights.cold_bytes / bytes_per_second
    else:
        seconds = known.seconds + (weights.cold_bytes - known.cold_bytes) / bytes_per_second
    return max(SHORTEST_SECONDS, seconds)


def learned(
    known: LoadTime | None, new: LoadTime, engine: EngineName, bytes_per_second: float
) -> LoadTime:
    """What is known after one more start: the mean of what was expected of it and what it took."""
    if known is None:
        return new
    weights = Weights(size_bytes=0, cold_bytes=new.cold_bytes, disk=0)
    expected = load_seconds(engine, weights, known, bytes_per_second)
    read = new if new.cold_bytes >= ENOUGH_BYTES else known
    seconds = (expected + new.seconds) / 2
    return LoadTime(
        id=new.id,
        # Kept for the colder of the two, of which more is known of the disk.
        seconds=seconds + (read.cold_bytes - new.cold_bytes) / bytes_per_second,
        cold_bytes=read.cold_bytes,
        reading_seconds=read.reading_seconds,
        samples=known.samples + 1,
        updated_at=new.updated_at,
    )


def left_seconds(expected_seconds: float, elapsed_seconds: float) -> float:
    """What is left of a start; of one that is late a tenth of what it took, and never nothing."""
    return max(SHORTEST_SECONDS, expected_seconds - elapsed_seconds, elapsed_seconds / 10)
