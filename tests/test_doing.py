"""What a service is doing that is not complete, in words."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from hydra_box.shown.doing import doing
from hydra_box.types import ServiceStatus
from tests.cli.fake_box import a_service_view


@pytest.mark.parametrize(
    ("progress", "eta", "words"),
    [
        (None, None, None),
        ("reading the weights: 40 %", None, "reading the weights: 40 %"),
        ("2 engines before it", 39.9, "2 engines before it, ready in about 39 s"),
        (None, 95.0, "ready in about 1 min 35 s"),
        (None, 0.1, "ready in about 1 s"),
    ],
)
def test_one_that_is_not_complete(progress: str | None, eta: float | None, words: str) -> None:
    assert (
        doing(a_service_view(status=ServiceStatus.DEPLOYING, progress=progress, eta_seconds=eta))
        == words
    )


def test_one_with_fewer_instances_to_come_has_nothing_to_wait_for() -> None:
    view = a_service_view(status=ServiceStatus.SCALING, eta_seconds=1.0)
    assert doing(replace(view, ready_instances=57, desired_instances=2)) is None
    assert doing(replace(view, ready_instances=1, desired_instances=2)) == "ready in about 1 s"
