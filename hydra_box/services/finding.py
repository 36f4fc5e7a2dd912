"""Which service is meant, what may be asked of it, and what a new one may be called."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from hydra_box.errors import Conflict, InvalidRequest, NotFound
from hydra_box.messages import ScaleRequest
from hydra_box.plan.names import suggest_service_name
from hydra_box.plan.sizes import check_instances
from hydra_box.types import DesiredState, EngineName, Service


def find(services: Iterable[Service], name: str) -> Service:
    """The service of that name, id or access name.

    Raises:
        NotFound: with the nearest names.

    """
    names = []
    for service in services:
        if name in (service.name, service.id, service.access_name):
            return service
        names.append(service.name)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else "hydra-box status lists them"
    raise NotFound(f"there is no service {name!r}", hint=hint, param="name")


def check_live(service: Service) -> Service:
    """The service, if it is there to stay.

    Raises:
        Conflict: it is being deleted.

    """
    if service.desired_state is DesiredState.DELETED:
        raise Conflict(f"{service.name} is being deleted")
    return service


def check_has_instances(service: Service) -> Service:
    """The service, if its instances run here.

    Raises:
        Conflict: only upstreams serve it.

    """
    if service.engine is EngineName.UPSTREAM:
        raise Conflict(
            f"{service.name} is served by upstreams alone, and has no instances here",
            hint=f"hydra-box upstreams list {service.name} shows what can be changed",
        )
    return service


def check_free(name: str, taken: Collection[str]) -> None:
    """Whether a new service may have the name.

    Raises:
        Conflict: there is one.

    """
    if name in taken:
        raise Conflict(
            f"the name {name!r} is taken",
            hint=f"{suggest_service_name(name, taken)!r} is free; "
            f"hydra-box scale {name} --add 1 adds an instance to the one there is",
            param="name",
        )


def target_of(service: Service, request: ScaleRequest) -> int:
    """How many instances a service shall have.

    Raises:
        InvalidRequest: both or neither of target and difference are given, or so many cannot be.

    """
    if (request.instances is None) == (request.add is None):
        raise InvalidRequest(
            "scaling takes either a target or a number to add",
            hint='{"instances": 3} or {"add": 1}',
            param="instances",
        )
    if request.instances is not None:
        return check_instances(request.instances)
    return check_instances(service.desired_instances + (request.add or 0))
