"""What a deployment makes: the service as it is stored. Values in and out."""

from __future__ import annotations

import secrets

from hydra_box.errors import InvalidRequest
from hydra_box.messages import DeployRequest
from hydra_box.plan.names import access_name
from hydra_box.plan.sizes import check_instances
from hydra_box.planner import Planned
from hydra_box.services.terms import (
    check_idle_timeout,
    check_price,
    check_priority,
    never_sleeps,
)
from hydra_box.types import Accelerator, DesiredState, EngineName, Frozen, Price, Service
from hydra_box.upstreams.rules import check_upstream

LONGEST_MODEL = 256

_OF_INSTANCES = (
    *("context_length", "concurrency", "engine", "quantization", "device"),
    *("allow_code",),
)


class Agreed(Frozen, frozen=True, kw_only=True):
    """What a deployment comes to before it has a name."""

    owner_id: str
    price: Price | None
    planned: Planned | None
    """None: upstreams alone serve it."""


def check_asked(request: DeployRequest) -> None:
    """Whether such a deployment is possible at all.

    Raises:
        InvalidRequest: a value is wrong; ``param`` names it.

    """
    check_idle_timeout(request.idle_timeout_seconds)
    check_price(request.price)
    check_priority(request.priority)
    check_instances(request.instances)
    if request.upstreams:
        _check_of_upstreams(request)


def check_planned(request: DeployRequest) -> None:
    """Whether there can be a plan for a deployment.

    Raises:
        InvalidRequest: a value is wrong, or nothing of it would run here.

    """
    check_asked(request)
    if request.upstreams:
        raise InvalidRequest(
            "nothing runs here for a service of upstreams, so that there is no plan for it",
            hint="deploy it without a dry run",
            param="upstreams",
        )


def _check_of_upstreams(request: DeployRequest) -> None:
    """Whether a service may be made that only upstreams serve."""
    if not request.public:
        raise InvalidRequest(
            "only a public service has upstreams", hint="add --public", param="upstreams"
        )
    if not 0 < len(request.model) <= LONGEST_MODEL or not request.model.isprintable():
        raise InvalidRequest(
            f"the model's name has {len(request.model)} characters, or some that cannot be shown",
            hint=f"use 1 to {LONGEST_MODEL}",
            param="model",
        )
    asked = [name for name in _OF_INSTANCES if getattr(request, name)]
    if request.instances != 1:
        asked.append("instances")
    if asked:
        raise InvalidRequest(
            f"a service of upstreams has no instances here, and {asked[0]} is about those",
            hint="leave it out; or deploy the model here, and give it upstreams then: "
            "hydra-box upstreams add",
            param=asked[0],
        )
    if request.idle_timeout_seconds is not None:
        raise never_sleeps()
    for one in request.upstreams:
        check_upstream(one)


def service_of_plan(
    request: DeployRequest,
    owner_id: str,
    planned: Planned,
    *,
    name: str,
    price: Price | None,
    at: float,
) -> Service:
    """A service whose instances run here; the download of its model is not in it yet."""
    options = planned.plan.placements[0].options
    return Service(
        id=_new_id(),
        name=name,
        access_name=access_name(name, owner_id=owner_id, public=request.public),
        owner_id=owner_id,
        public=request.public,
        base_model=request.model,
        model_path=planned.path,
        quantization=planned.plan.offer.facts.quantization,
        engine=planned.plan.engine,
        context_length=options.context_length,
        slots=options.slots,
        desired_instances=request.instances,
        on_cpu=request.device is not None,
        on_gpu=planned.plan.placements[0].accelerator is not Accelerator.CPU,
        allows_code=request.allow_code,
        idle_timeout_seconds=request.idle_timeout_seconds,
        price=price,
        priority=request.priority,
        desired_state=DesiredState.RUNNING,
        created_at=at,
    )


def service_of_upstreams(
    request: DeployRequest, owner_id: str, *, name: str, price: Price | None, at: float
) -> Service:
    """A service that nothing here serves."""
    return Service(
        id=_new_id(),
        name=name,
        access_name=access_name(name, owner_id=owner_id, public=True),
        owner_id=owner_id,
        public=True,
        base_model=request.model,
        model_path="",
        engine=EngineName.UPSTREAM,
        context_length=0,
        slots=0,
        desired_instances=0,
        price=price,
        priority=request.priority,
        desired_state=DesiredState.RUNNING,
        created_at=at,
    )


def _new_id() -> str:
    return f"svc-{secrets.token_hex(6)}"
