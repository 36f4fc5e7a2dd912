"""Whether a new instance has room beside the one whose place it takes, and what is said of it."""

from __future__ import annotations

import msgspec
import pytest

from hydra_box.plan.beside import as_well, endings, lacking_beside, replacement
from hydra_box.types import CPU, Accelerator, Ask, MakesRoom, Placement, Rejection, Shortfall
from tests.machines import one_rtx_4090
from tests.plan.making import GIB, gguf, plan_of

M = MakesRoom

ASK = Ask(context_length=4096, slots=2)
PLAN = plan_of((gguf(weights_bytes=4 * GIB),), one_rtx_4090(), ASK)
ON_GPU = PLAN.placements[0]
SHORT = Shortfall(device="gpu", needed_bytes=2, available_bytes=1, message="needs 2; has 1 free")
NO_ROOM = Rejection(reasons=("it does not fit",), missing=(SHORT,), alternatives=())


def fewer_layers() -> Placement:
    options = msgspec.structs.replace(ON_GPU.options, gpu_layers=ON_GPU.options.gpu_layers - 1)
    return msgspec.structs.replace(ON_GPU, options=options)


@pytest.mark.parametrize(
    ("one", "well"),
    [
        (ON_GPU, True),
        (fewer_layers(), False),
        (msgspec.structs.replace(ON_GPU, accelerator=Accelerator.CPU, devices=(CPU,)), False),
    ],
)
def test_beside_it_computes_where_it_would_alone(one: Placement, well: bool) -> None:
    assert as_well(one, ON_GPU) is well
    assert as_well(ON_GPU, one) is (well or one.accelerator is Accelerator.CUDA)


def test_what_it_lacks_is_told_of_the_device_that_lacks_most() -> None:
    machine = one_rtx_4090()
    (card,) = machine.gpus
    found = lacking_beside(PLAN, machine, {card.uuid: GIB, CPU: 100 * GIB})
    (lacks,) = found.missing
    assert (lacks.device, lacks.available_bytes) == (card.uuid, GIB)
    assert lacks.needed_bytes > 4 * GIB
    assert found.message == lacks.message
    assert lacks.message.startswith("needs ")
    assert lacks.message.endswith("; GPU 0 (RTX 4090) has 1.0 GiB free beside what runs")


def test_with_room_the_service_is_served_throughout() -> None:
    how = replacement(None, serving=1, ends=0, start_seconds=4.0)
    assert (how.makes_room, how.needs_downtime) == (MakesRoom.NO, False)
    assert (how.told or "").endswith("the service is served throughout.")


@pytest.mark.parametrize(
    ("serving", "ends", "start_seconds", "words"),
    [
        (1, 1, 4.4, "the old one has to end first, and nothing serves for about 4 s."),
        (1, 1, 0.1, "nothing serves for about 1 s."),
        (1, 1, None, "nothing serves for as long as it loads."),
        (
            3,
            1,
            4.4,
            "one after another ends before a successor starts, and 2 of 3 serve meanwhile.",
        ),
        (3, 2, 4.4, ": 2 of them end before a successor starts, and 1 of 3 serve meanwhile."),
        (
            *(2, 2, 4.4),
            "all 2 have to end before the first new one starts, and nothing serves for about 4 s.",
        ),
    ],
)
def test_without_room_it_is_told_what_that_costs(
    serving: int, ends: int, start_seconds: float | None, words: str
) -> None:
    how = replacement(NO_ROOM, serving=serving, ends=ends, start_seconds=start_seconds)
    assert how.makes_room is (M.TO_THE_LAST if ends == serving else M.ONE_BY_ONE)
    assert how.needs_downtime is (ends == serving)
    assert "(needs 2; has 1 free)" in (how.told or "")
    assert (how.told or "").endswith(words)


@pytest.mark.parametrize(
    ("serving", "old", "ends"),
    [
        (1, 1, ()),
        (2, 2, (1,)),
        (3, 3, (1, 2)),
        (9, 9, (1, 8)),
        # Those that are not replaced serve on.
        (3, 1, (1,)),
        (4, 2, (1, 2)),
    ],
)
def test_the_last_that_serves_is_asked_for_no_room(
    serving: int, old: int, ends: tuple[int, ...]
) -> None:
    assert endings(serving, old) == ends
