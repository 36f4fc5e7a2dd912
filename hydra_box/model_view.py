"""A model with what this box would do with it, as shown: pure, from values to a ``ModelView``."""

from __future__ import annotations

from collections.abc import Iterable

from hydra_box.messages import ModelView
from hydra_box.types import Accelerator, EngineName, Machine, ModelSpec, Plan, Rejection, Service


def model_view(
    spec: ModelSpec, result: Plan | Rejection, machine: Machine, services: Iterable[Service]
) -> ModelView:
    """Show a model.

    Args:
        spec: the model.
        result: what was decided about one instance of it.
        machine: on which.
        services: those that there are; told are those of this model.
    """
    plan = result if isinstance(result, Plan) else None
    first = None if plan is None else plan.placements[0]
    kinds = dict.fromkeys(one.facts.quantization for one in spec.offers)
    repositories = dict.fromkeys(one.repository for one in spec.offers)
    return ModelView(
        id=spec.id,
        name=spec.name,
        modality=spec.modality,
        parameters=spec.parameters,
        active_parameters=spec.active_parameters,
        context_length=spec.context_length,
        publisher=spec.publisher,
        license=spec.license,
        gated=spec.gated,
        description=spec.description,
        tags=spec.tags,
        hosting=spec.hosting,
        price_per_million_input_tokens=spec.price_per_million_input_tokens,
        price_per_million_output_tokens=spec.price_per_million_output_tokens,
        minimum_versions=spec.minimum_versions,
        repositories=tuple(one for one in repositories if one is not None),
        quantizations=tuple(one for one in kinds if one is not None),
        on_disk=any(one.path is not None for one in spec.offers),
        fits=plan is not None,
        engine=result.engine,
        quantization=None if plan is None else plan.offer.facts.quantization,
        device=None if plan is None else _device_words(plan, machine),
        planned_context_length=None if first is None else first.options.context_length,
        reason=_reason(result),
        services=tuple(one.name for one in services if one.base_model == spec.id),
    )


def _device_words(plan: Plan, machine: Machine) -> str:
    """Where an instance would be, in a few words: ``2 x NVIDIA H200``, ``NVIDIA L40S + CPU``."""
    first = plan.placements[0]
    if first.accelerator is Accelerator.CPU:
        return "CPU"
    names = [one.name for one in machine.gpus if one.uuid in first.devices]
    word = names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"
    whole = first.options.gpu_layers > len(plan.offer.facts.layers)
    return word if plan.engine is EngineName.VLLM or whole else f"{word} + CPU"


def _reason(result: Plan | Rejection) -> str:
    """Why it fits there, or what is missing: the sentence with the numbers."""
    if isinstance(result, Plan):
        return result.reasons[-1]
    return result.missing[0].message if result.missing else result.message
