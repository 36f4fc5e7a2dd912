"""What an edit of a service asks of a plan, and what the service is after it: values in and out."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hydra_box.catalog.reference import PREFIX, at_revision
from hydra_box.errors import Conflict, DowntimeNeeded, InvalidRequest
from hydra_box.messages import EditRequest
from hydra_box.models.wanted import without_code
from hydra_box.plan.beside import Replacement
from hydra_box.plan.engine_limits import readable
from hydra_box.plan.names import engine_named
from hydra_box.plan.placement import check, matching
from hydra_box.plan.ways import runs_like, way_of
from hydra_box.plan.words import counted
from hydra_box.types import (
    CPU,
    Accelerator,
    Ask,
    MakesRoom,
    ModelSpec,
    Offer,
    Plan,
    Service,
    WeightFormat,
)

ANYWHERE = "auto"
"""The device of a service that runs wherever it fits."""


def ask_of_edit(service: Service, request: EditRequest) -> Ask:
    """All of an edited service's instances, anew: what is not edited is asked for as it is.

    The quantisation is None where the weights stay: these are then the only ones on offer.

    Raises:
        InvalidRequest: there is no such engine or device.
    """
    engine = service.engine if request.engine is None else engine_named(request.engine)
    quantization = request.quantization or service.quantization
    weights_stay = engine == service.engine and _same(quantization, service.quantization)
    if request.revision is not None:
        # The same weights of another revision are others; those without a name are "".
        quantization, weights_stay = quantization or "", False
    return Ask(
        engine=engine,
        quantization=None if weights_stay else quantization,
        context_length=_or(request.context_length, service.context_length),
        slots=_or(request.concurrency, service.slots),
        instances=service.desired_instances,
        device=_device(service, request),
    )


def keeps_weights(service: Service, ask: Ask) -> bool:
    """Whether the edited service runs on the files that it has."""
    return ask.quantization is None and ask.engine == service.engine


def changes_nothing(service: Service, ask: Ask) -> bool:
    """Whether the edited service is the service."""
    return (
        keeps_weights(service, ask)
        and (ask.context_length, ask.slots) == (service.context_length, service.slots)
        and (ask.device == CPU) == service.on_cpu
    )


def model_of_edit(service: Service, request: EditRequest, ask: Ask, spec: ModelSpec | None) -> str:
    """The MODEL whose weights an edited service runs on, where they are others.

    What the catalog has of a repository is of the revision that its entry names. Who names another
    one means the same repository.

    Args:
        service: as it is.
        request: the edit.
        ask: what it asks for.
        spec: its present model, if it is not named as a repository.

    Raises:
        InvalidRequest: it has no such revision.
    """
    if request.revision is None:
        return service.base_model
    named = service.base_model if spec is None else _on_the_hub(spec, ask) or service.base_model
    return at_revision(named, request.revision)


def offers_here(service: Service, spec: ModelSpec, ask: Ask, model: str) -> tuple[Offer, ...]:
    """The weights on this machine that an edit may change to.

    An edited service goes on serving, so that it does not wait for a download.

    Raises:
        InvalidModel: only the model's own code can run them, and that was not allowed.
        InvalidRequest: the quantisation is not on offer, or the context is too long for the model.
        Conflict: those that are asked for would have to be fetched first.
    """
    spec = spec if service.allows_code else without_code(spec)
    check(ask, spec.offers)
    here = tuple(one for one in spec.offers if one.path is not None)
    asked = matching(ask, spec.offers)
    if ask.engine is not None:
        asked = readable(ask.engine, asked) or asked
    if not any(one in here for one in asked):
        names = dict.fromkeys(one.facts.quantization or "its weights" for one in asked)
        words = f"{model} --engine {ask.engine}"
        if ask.quantization:
            words += f" --quantization {ask.quantization}"
        raise Conflict(
            f"{' and '.join(names)} of {model} for {ask.engine} is not on this "
            "machine, and a service is edited to what is",
            hint=f"fetch it, while the service goes on: hydra-box models pull {words}",
            param="quantization",
        )
    return here


def edited(service: Service, ask: Ask, plan: Plan) -> Service:
    """The service as a plan for its edit has it."""
    options = plan.placements[0].options
    changed = msgspec.structs.replace(
        service,
        engine=plan.engine,
        context_length=options.context_length,
        slots=options.slots,
        on_cpu=ask.device == CPU,
        # On the CPU it says nothing, and an edit that does not work goes back to what it was.
        on_gpu=service.on_gpu
        if ask.device == CPU
        else plan.placements[0].accelerator is not Accelerator.CPU,
    )
    if keeps_weights(service, ask) or plan.offer.path is None:
        return changed
    return msgspec.structs.replace(
        changed,
        quantization=plan.offer.facts.quantization,
        model_path=plan.offer.path,
        download_id=None,
    )


def rolled_out(service: Service, new: Service, how: Replacement, *, has_served: bool) -> Service:
    """The edited service, with what it goes back to if its new instances never get ready.

    An edit of an edit that is under way goes back to what served last; and where nothing has
    served, there is nothing to go back to.
    """
    previous = service.previous or (way_of(service) if has_served else None)
    if previous is not None and runs_like(previous, way_of(new)):
        previous = None
    return msgspec.structs.replace(new, previous=previous, makes_room=how.makes_room)


def as_asked(service: Service) -> Service:
    """The service without what is noted of a rollout, which nobody has asked for."""
    return msgspec.structs.replace(service, previous=None, makes_room=MakesRoom.NO)


def check_downtime(service: Service, how: Replacement, *, command: str, allowed: bool) -> None:
    """Whether the instances of a service may be replaced like that.

    Raises:
        DowntimeNeeded: nothing would serve for a while, and nobody has allowed that.
    """
    if how.needs_downtime and not allowed:
        raise DowntimeNeeded(
            f"{service.name} would be away for a while. {how.told}",
            hint=f"to do it nevertheless: hydra-box {command} --allow-downtime",
            param="allow_downtime",
        )


def difference(old: Service, new: Service) -> str:
    """What an edit changed, in words."""
    return ", ".join(_differences(old, new))


def _differences(old: Service, new: Service) -> Iterator[str]:
    if new.context_length != old.context_length:
        yield f"{new.context_length:,} tokens of context instead of {old.context_length:,}"
    if new.slots != old.slots:
        yield f"{counted(new.slots, 'slot')} instead of {old.slots}"
    if new.engine != old.engine:
        yield f"on {new.engine} instead of {old.engine}"
    if new.quantization != old.quantization:
        yield f"{new.quantization or 'other weights'} instead of {old.quantization or 'the old'}"
    if new.model_path != old.model_path and _same_kind(new, old):
        yield "another revision of its model"
    if new.on_cpu != old.on_cpu:
        yield "on the CPU" if new.on_cpu else "wherever it fits, instead of on the CPU"
    if new.idle_timeout_seconds != old.idle_timeout_seconds:
        idle = new.idle_timeout_seconds
        yield "no idle timeout" if idle is None else f"an idle timeout of {idle:g} s"
    if new.priority != old.priority:
        yield f"the priority {new.priority} instead of {old.priority}"
    if new.price is not None and new.price != old.price:
        price = new.price
        yield f"the price {price.input_per_million:g} / {price.output_per_million:g} a million"


def _on_the_hub(spec: ModelSpec, ask: Ask) -> str | None:
    """The repository that has the weights which are asked for; None: they are not of the hub."""
    asked = matching(ask, spec.offers)
    if ask.engine is not None:
        asked = readable(ask.engine, asked)
    for one in asked:
        if one.repository is not None:
            is_gguf = one.facts.format is WeightFormat.GGUF
            file = f":{one.facts.quantization}" if is_gguf and one.facts.quantization else ""
            return f"{PREFIX}{one.repository}{file}"
    return None


def _device(service: Service, request: EditRequest) -> str | None:
    if request.device not in (None, CPU, ANYWHERE):
        raise InvalidRequest(
            f"a service cannot be tied to the device {request.device!r}",
            hint=f"{CPU!r}, or {ANYWHERE!r}: wherever it fits",
            param="device",
        )
    on_cpu = service.on_cpu if request.device is None else request.device == CPU
    return CPU if on_cpu else None


def _same_kind(one: Service, other: Service) -> bool:
    return (one.engine, one.quantization) == (other.engine, other.quantization)


def _same(one: str | None, other: str | None) -> bool:
    return (one or "").upper() == (other or "").upper()


def _or(asked: int | None, present: int) -> int:
    return present if asked is None else asked
