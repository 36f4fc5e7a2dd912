from __future__ import annotations

import pytest

from hydra_box.messages import ServiceStats, ServiceView
from hydra_box.types import EngineName, Modality, ServiceStatus
from tui.trial.standing import standing


def view(status: ServiceStatus, *, ready: int = 0, **options: object) -> ServiceView:
    values: dict[str, object] = {
        "id": "svc-1",
        "name": "demo",
        "access_name": "u-1/demo",
        "owner_id": "u-1",
        "public": False,
        "status": status,
        "base_model": "demo",
        "engine": EngineName.LLAMA_CPP,
        "quantization": None,
        "context_length": 2048,
        "slots": 4,
        "desired_instances": 1,
        "ready_instances": ready,
        "instances": (),
        "created_at": 0.0,
        "stats": ServiceStats(),
    }
    return ServiceView(**(values | options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "one",
    [
        view(ServiceStatus.RUNNING, ready=1),
        view(ServiceStatus.RUNNING),
        view(ServiceStatus.RUNNING, asleep=True),
        view(ServiceStatus.SCALING, ready=1),
        view(ServiceStatus.SCALING),
        view(ServiceStatus.DEPLOYING, ready=1, modality=Modality.VISION),
    ],
)
def test_what_has_a_ready_instance_can_be_asked(one: ServiceView) -> None:
    assert standing(one, "demo", connected=True).problem is None


@pytest.mark.parametrize(
    ("one", "fact", "hint", "passing"),
    [
        (
            view(ServiceStatus.DEPLOYING, progress="downloading, 30 %"),
            "demo is DEPLOYING: downloading, 30 %",
            "type already; enter sends as soon as it runs",
            True,
        ),
        (
            view(ServiceStatus.FAILED, reason="it needs 9 GiB; hint: a smaller context fits"),
            "demo is FAILED: it needs 9 GiB",
            "a smaller context fits",
            False,
        ),
        (view(ServiceStatus.DELETING), "demo is DELETING", None, False),
        (
            view(ServiceStatus.RUNNING, ready=1, modality=Modality.EMBEDDING),
            "demo cannot chat: its model is for embedding",
            "its endpoint is reached with any OpenAI client",
            False,
        ),
        (
            None,
            "demo is gone: the box has no such service",
            "what was said and typed stays here; escape goes back",
            False,
        ),
    ],
)
def test_what_cannot_be_asked_is_told(
    one: ServiceView | None, fact: str, hint: str | None, passing: bool
) -> None:
    told = standing(one, "demo", connected=True)
    assert told.problem is not None
    assert (told.problem.fact, told.problem.hint, told.passing) == (fact, hint, passing)


def test_a_box_that_never_answered_may_still() -> None:
    assert standing(None, "demo", connected=False).passing
