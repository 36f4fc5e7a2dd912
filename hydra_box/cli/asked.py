"""What a plan and a deployment may ask for: the options, and the command line that they make."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click

from hydra_box.types import CPU, Alternative

F = TypeVar("F", bound=Callable[..., Any])


class Asked(TypedDict):
    """The values of ``plan_options``, by the names that a request has."""

    instances: int
    context_length: int | None
    concurrency: int | None
    engine: str | None
    quantization: str | None
    cpu: bool
    allow_code: bool


class Wanted(TypedDict):
    """The same as fields of a ``PlanRequest``."""

    instances: int
    context_length: int | None
    concurrency: int | None
    engine: str | None
    quantization: str | None
    device: str | None
    allow_code: bool


def plan_options(command: F) -> F:
    """Give a verb the options that say how a model is to be served."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wanted(asked: Asked) -> Wanted:
    """What was asked, as a request has it."""
    return {
        "instances": asked["instances"],
        "context_length": asked["context_length"],
        "concurrency": asked["concurrency"],
        "engine": asked["engine"],
        "quantization": asked["quantization"],
        "device": CPU if asked["cpu"] else None,
        "allow_code": asked["allow_code"],
    }


def deploy_command(model: str, alternative: Alternative, more: Sequence[str] = ()) -> str:
    """The command line that deploys what fits in the place of what does not.

    Args:
        model: the MODEL that was asked for.
        alternative: of the plan for it.
        more: further words: ``--name a``, ``--public``.
    """
    ask = alternative.ask
    words = ["hydra-box", "deploy", alternative.model or model, *more]
    if ask.instances != 1:
        words += ["--instances", str(ask.instances)]
    for option, value in (
        ("--context-length", ask.context_length),
        ("--concurrency", ask.slots),
        ("--engine", ask.engine),
        ("--quantization", ask.quantization),
    ):
        if value is not None:
            words += [option, str(value)]
    if ask.device == CPU:
        words.append("--cpu")
    return shlex.join(words)


def absolute(model: str) -> str:
    """A path as the daemon, which has another working directory, must see it."""
    if model.startswith("hf:"):
        return model
    if "/" in model or model.endswith(".gguf"):
        return str(Path(model).expanduser().absolute())
    return model


_OPTIONS = (
    click.option("--instances", type=int, default=1, show_default=True, help="Engine processes."),
    click.option("--context-length", type=int, metavar="TOKENS", help="Tokens each slot can hold."),
    click.option("--concurrency", type=int, metavar="SLOTS", help="Slots in one instance."),
    click.option("--engine", metavar="ENGINE", help="An engine's name [default: chosen]."),
    click.option(
        "--quantization",
        metavar="NAME",
        help="One of those on offer, as Q4_K_M or BF16 [default: the best that fits].",
    ),
    click.option("--cpu", is_flag=True, help="On the CPU, although there may be a GPU."),
    click.option(
        "--allow-code",
        is_flag=True,
        help="Run Python code that the model brings: it can do all that you can.",
    ),
)
