"""What several people share on the box of ``still_life``: users, public services, their keys."""

from __future__ import annotations

from typing import Any

from hydra_box.messages import KeyView, ServiceStats, ServiceView, UpstreamView, UserView
from hydra_box.types import (
    EngineName,
    InstanceState,
    KeyLimits,
    Price,
    QuotaPeriod,
    Scope,
    ServiceStatus,
    TokenQuota,
)
from tests.tui.still_life import NOW, USER, instance, service

MARY = "u-2200b15812cc"
DAY = 86_400.0
PRICE = Price(input_per_million=0.55, output_per_million=2.19)


def upstream(number: int, **changes: Any) -> UpstreamView:
    """One that answers."""
    values: dict[str, Any] = {
        "id": f"up-00000000000{number}",
        "base_url": f"https://api{number}.example.com/v1",
        "model": "deepseek-reasoner",
        "weight": 1.0,
        "most_requests": 64,
        "allows_private": False,
        "has_key": True,
        "healthy": True,
        "checked_at": NOW - 12,
        "reason": None,
        "requests_in_flight": 3,
        "created_at": NOW - DAY,
    }
    return UpstreamView(**values | changes)


def down() -> UpstreamView:
    """One that does not answer."""
    return upstream(
        2,
        healthy=False,
        weight=2.5,
        requests_in_flight=0,
        reason="it refuses the key (401); hint: hydra-box upstreams edit sets another",
    )


def of_upstreams(**changes: Any) -> ServiceView:
    """A public service that nothing here serves."""
    values: dict[str, Any] = {
        "public": True,
        "access_name": "public/r1",
        "base_model": "deepseek-r1",
        "engine": EngineName.UPSTREAM,
        "quantization": None,
        "context_length": 0,
        "slots": 0,
        "desired_instances": 0,
        "ready_instances": 0,
        "instances": (),
        "upstreams": (upstream(1), down()),
        "owner_name": "local",
        "price": PRICE,
        "reason": "upstream up-000000000002: it refuses the key (401); "
        "hint: hydra-box upstreams edit sets another",
        "stats": ServiceStats(requests=71, requests_in_flight=3, last_ttft_seconds=0.61),
    }
    return service("r1", **values | changes)


def asleep(**changes: Any) -> ServiceView:
    """Mary's, which nobody has called for a while; its process is there."""
    values: dict[str, Any] = {
        "owner_id": MARY,
        "owner_name": "mary",
        "access_name": f"{MARY}/siesta",
        "desired_instances": 1,
        "ready_instances": 0,
        "instances": (
            instance(
                "siesta",
                1,
                state=InstanceState.ASLEEP,
                memory=(),
                uptime_seconds=None,
                requests_in_flight=0,
            ),
        ),
        "asleep": True,
        "idle_timeout_seconds": 900.0,
        "stats": ServiceStats(requests=9, last_ttft_seconds=0.1),
    }
    return service("siesta", **values | changes)


def waking() -> ServiceView:
    """The same, a moment after somebody called it."""
    return asleep(
        asleep=False,
        status=ServiceStatus.DEPLOYING,
        progress="waking",
        instances=(
            instance(
                "siesta",
                1,
                state=InstanceState.STARTING,
                memory=(),
                uptime_seconds=None,
                requests_in_flight=0,
            ),
        ),
    )


def beside() -> ServiceView:
    """Instances here, and an upstream for what they cannot take."""
    return service(
        "team",
        public=True,
        access_name="public/team",
        owner_name="local",
        price=PRICE,
        desired_instances=1,
        ready_instances=1,
        instances=(instance("team", 1),),
        upstreams=(upstream(1),),
    )


def services() -> tuple[ServiceView, ...]:
    """One of each, by name."""
    return (of_upstreams(), asleep(), beside())


def keys() -> tuple[KeyView, ...]:
    """Mary's: disabled, rotated, used up."""

    def key(name: str, **changes: Any) -> KeyView:
        values: dict[str, Any] = {
            "id": f"key-{name}",
            "name": name,
            "owner_id": MARY,
            "owner_name": "mary",
            "masked": "hb-M...y5Zz",
            "scopes": (Scope.INFERENCE,),
            "created_at": NOW - 5 * DAY,
            "created_by": "ops",
            "last_used_at": NOW - 3700,
            "revoked_at": None,
        }
        return KeyView(**values | changes)

    return (
        key(
            "agent",
            denied_models=("public/r1",),
            limits=KeyLimits(concurrent_requests=2),
            quota=TokenQuota(tokens=100_000, period=QuotaPeriod.DAY),
            quota_used_tokens=100_412,
            previous_until=NOW + 3600,
        ),
        key("mary-old", disabled_at=NOW - DAY),
    )


def users() -> tuple[UserView, ...]:
    """The box's owner, and two others."""
    return (
        UserView(
            id=USER, name="local", created_at=NOW - 30 * DAY, disabled_at=None, keys=5, services=8
        ),
        UserView(
            id=MARY, name="mary", created_at=NOW - 6 * DAY, disabled_at=None, keys=2, services=1
        ),
        UserView(
            id="u-3300b15812cc",
            name="guest",
            created_at=NOW - 4 * DAY,
            disabled_at=NOW - DAY,
            keys=1,
            services=0,
        ),
    )
