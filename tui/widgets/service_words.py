"""Who a service is for, what serves it, and on which terms: values in, words out."""

from __future__ import annotations

from collections.abc import Iterator

from hydra_box.messages import LOCAL_USER_NAME, ServiceView
from hydra_box.shown.numbers import count
from hydra_box.shown.spans import span
from hydra_box.shown.text import harmless
from hydra_box.types import EngineName, Price


def has_instances(view: ServiceView) -> bool:
    """Whether it runs here; else only upstreams serve it."""
    return view.engine is not EngineName.UPSTREAM


def healthy(view: ServiceView) -> int:
    """How many of its upstreams take requests."""
    return sum(one.healthy for one in view.upstreams)


def model(view: ServiceView) -> str:
    """``qwen3-8b Q4_K_M on llama.cpp``, ``deepseek-r1 from 2 upstreams``."""
    name = harmless(view.base_model)
    upstreams = count(len(view.upstreams), "upstream")
    if not has_instances(view):
        return f"{name} from {upstreams}"
    quantization = f" {view.quantization}" if view.quantization else ""
    beside = f" beside {upstreams}" if view.upstreams else ""
    return f"{name}{quantization} on {view.engine}{beside}"


def served(view: ServiceView) -> str:
    """The same, with how much each instance takes: ``..., 8 slots of 8,192 tokens``."""
    return f"{model(view)}, {room(view)}" if has_instances(view) else model(view)


def room(view: ServiceView) -> str:
    """What an instance takes at once: ``8 slots of 8,192 tokens``."""
    return f"{count(view.slots, 'slot')} of {view.context_length:,} tokens"


def owner(view: ServiceView) -> str:
    """Whose it is; its id where no name is known."""
    return harmless(view.owner_name or view.owner_id)


def callers(view: ServiceView) -> str:
    """Who may call it."""
    return "any user's keys may call it" if view.public else "only its owner's keys may call it"


def price(of: Price) -> str:
    """What a million tokens cost, in the box's unit of account."""
    prompt, answered = of.input_per_million, of.output_per_million
    return f"{prompt:g} for a million prompt tokens, {answered:g} for answered ones"


def asleep(view: ServiceView) -> str:
    """Why it sleeps, and what ends that."""
    after = span(view.idle_timeout_seconds)
    return f"asleep: nobody called it for {after}; the next request wakes it, or space"


def terms(view: ServiceView) -> Iterator[str]:
    """What is not as with most services: another owner, a priority, an idle timeout."""
    if view.owner_name not in ("", LOCAL_USER_NAME):
        yield f"of {owner(view)}"
    if view.priority:
        yield f"priority {view.priority}"
    if view.idle_timeout_seconds is not None:
        yield f"sleeps after {span(view.idle_timeout_seconds)}"
