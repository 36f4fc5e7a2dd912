from __future__ import annotations

import pytest

from hydra_box.plan.clock import Moment, describe, jump_seconds
from hydra_box.plan.reconcile import StartInstance, reconcile
from hydra_box.types import InstanceState
from tests.samples import a_service, an_instance


def test_time_that_passes_is_no_jump() -> None:
    before = Moment(wall_seconds=1000.0, steady_seconds=50.0)
    assert jump_seconds(before, Moment(wall_seconds=1005.0, steady_seconds=55.0)) == 0.0
    assert jump_seconds(before, Moment(wall_seconds=405.0, steady_seconds=55.0)) == -600.0


@pytest.mark.parametrize(
    ("jump", "words"),
    [
        (-7200.0, "the clock was set back by 2 h"),
        (12.4, "the clock was set forward by 12 s"),
        (400_000.0, "the clock was set forward by 4 d 16 h"),
    ],
)
def test_a_jump_is_told_with_its_size_and_direction(jump: float, words: str) -> None:
    assert describe(jump) == words


@pytest.mark.parametrize(
    ("retry_at", "starts"),
    [(1000.0, True), (1001.0, False), (1300.0, False), (1301.0, True), (9e9, True)],
)
def test_a_clock_that_is_set_back_makes_no_restart_wait_for_hours(
    retry_at: float, *, starts: bool
) -> None:
    service = a_service()
    waiting = an_instance(state=InstanceState.BACKOFF, retry_at=retry_at)
    actions = reconcile([service], [waiting], now=1000.0)
    assert actions == [StartInstance(instance_id=waiting.id)] * starts
