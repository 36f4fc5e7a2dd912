"""The terms of a service: price, idle timeout, priority. No instance runs otherwise for them."""

from __future__ import annotations

import math

import msgspec

from hydra_box.catalog import Catalog
from hydra_box.errors import InvalidRequest
from hydra_box.messages import EditRequest
from hydra_box.types import EngineName, Price, Service

SHORTEST_IDLE_SECONDS = 1.0
LONGEST_IDLE_SECONDS = 365 * 86_400.0
HIGHEST_PRICE = 1e7
"""A billion tokens at it cost less than the books can hold of one row."""

HIGHEST_PRIORITY = 100

_TERMS = ("idle_timeout_seconds", "price", "priority")


def check_idle_timeout(seconds: float | None) -> float | None:
    """How long without a request before a service falls asleep; None: never.

    Raises:
        InvalidRequest: it is shorter than a second, or longer than a year.

    """
    if seconds is not None and not SHORTEST_IDLE_SECONDS <= seconds <= LONGEST_IDLE_SECONDS:
        raise InvalidRequest(
            f"an idle timeout of {seconds:,.12g} s is not possible",
            hint="use 1 second to 365 days",
            param="idle_timeout_seconds",
        )
    return seconds


def check_price(price: Price | None) -> Price | None:
    """What tokens cost; None: nothing is said of it.

    Raises:
        InvalidRequest: a part of it is negative, or no number.

    """
    if price is not None:
        for number in (price.input_per_million, price.output_per_million):
            if not (math.isfinite(number) and 0 <= number <= HIGHEST_PRICE):
                raise InvalidRequest(
                    f"a price of {number:g} for a million tokens is not possible",
                    hint=f"use 0 to {HIGHEST_PRICE:,.0f}",
                    param="price",
                )
    return price


def check_priority(priority: int) -> int:
    """Where a service stands when many have to start; the highest comes first.

    Raises:
        InvalidRequest: it is not 0 to 100.

    """
    if not 0 <= priority <= HIGHEST_PRIORITY:
        raise InvalidRequest(
            f"a priority of {priority:,} is not possible",
            hint=f"use 0 to {HIGHEST_PRIORITY}; the highest comes first",
            param="priority",
        )
    return priority


def catalog_price(catalog: Catalog, model: str) -> Price | None:
    """What the catalog asks for a model's tokens; None: nothing, or it does not know the model."""
    entry = catalog.entries.get(model)
    if entry is None or entry.price is None:
        return None
    return Price(input_per_million=entry.price.input, output_per_million=entry.price.output)


def with_terms(service: Service, request: EditRequest) -> Service:
    """The service with the terms of an edit.

    Raises:
        InvalidRequest: a value is wrong; ``param`` names it.

    """
    idle, price, priority = service.idle_timeout_seconds, service.price, service.priority
    if request.idle_timeout_seconds is not None:
        idle = check_idle_timeout(request.idle_timeout_seconds or None)
    if idle is not None and service.engine is EngineName.UPSTREAM:
        raise never_sleeps()
    if request.price is not None:
        price = check_price(request.price)
    if request.priority is not None:
        priority = check_priority(request.priority)
    return msgspec.structs.replace(
        service, idle_timeout_seconds=idle, price=price, priority=priority
    )


def changes_terms_only(request: EditRequest) -> bool:
    """Whether every instance runs on as it does."""
    asked = msgspec.structs.asdict(request)
    # Allowing downtime lets an edit that is under way go on.
    others = (value for name, value in asked.items() if name not in _TERMS)
    return not any(value is not None and value is not False for value in others)


def never_sleeps() -> InvalidRequest:
    """The answer for a service that has nothing to put to sleep."""
    return InvalidRequest(
        "a service of upstreams has nothing here that could fall asleep",
        hint="leave the idle timeout out",
        param="idle_timeout_seconds",
    )
