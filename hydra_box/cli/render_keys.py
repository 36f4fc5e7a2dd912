"""Keys and users, as tables and pages."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Sequence
from datetime import datetime

from hydra_box.cli.memory_bar import WIDTH
from hydra_box.cli.output import ago, style, table
from hydra_box.messages import LOCAL_USER_NAME, KeyView, UserView
from hydra_box.shown.keys import quota_and_use
from hydra_box.shown.numbers import count


def keys(views: Sequence[KeyView]) -> str:
    """One line a key, and below it whose it is and what it may take, where that is set."""
    if not views:
        return "no keys yet; hydra-box keys create --name NAME makes one"
    headers = ("NAME", "KEY", "SCOPES", "CREATED", "LAST USED", "STATE")
    rows = [
        (
            view.name,
            view.masked,
            ",".join(view.scopes),
            ago(view.created_at),
            ago(view.last_used_at),
            _key_state(view),
        )
        for view in views
    ]
    head, *lines = table(headers, rows).split("\n")
    told = [(line, *_conditions(view)) for line, view in zip(lines, views, strict=True)]
    return "\n".join((head, *(line for lines in told for line in lines)))


def page(view: KeyView) -> str:
    """All that is known of one key, a fact a line."""
    made_by = f" by {view.created_by}" if view.created_by else ""
    facts = {
        "key": view.name,
        "id": view.id,
        "secret": view.masked,
        "state": _key_state(view),
        "owner": f"{view.owner_name} ({view.owner_id})",
        "scopes": ", ".join(view.scopes),
        "created": f"{_moment(view.created_at)}{made_by}",
        "last used": ago(view.last_used_at),
        "expires": "never" if view.expires_at is None else _moment(view.expires_at),
        "models": ", ".join(view.models) or "all",
        "denied": ", ".join(view.denied_models) or "none",
        "limits": "; ".join(_limits(view)) or "none of its own",
        "quota": quota_and_use(view) or "none",
    }
    if view.previous_until is not None:
        facts["old secret"] = f"opens until {_moment(view.previous_until)}"
    width = max(map(len, facts)) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in facts.items())


def users(views: Sequence[UserView]) -> str:
    """One line a user."""
    headers = ("NAME", "ID", "CREATED", "KEYS", "SERVICES", "STATE")
    rows = [
        (
            view.name,
            view.id,
            ago(view.created_at),
            f"{view.keys:,}",
            f"{view.services:,}",
            style("valid", fg="green")
            if view.disabled_at is None
            else style(f"disabled {ago(view.disabled_at)}", fg="yellow"),
        )
        for view in views
    ]
    return table(headers, rows, right=(3, 4))


def _key_state(view: KeyView) -> str:
    if view.revoked_at is not None:
        return style(f"revoked {ago(view.revoked_at)}", dim=True)
    if view.disabled_at is not None:
        return style("disabled", fg="yellow")
    if view.owner_disabled_at is not None:
        return style("user disabled", fg="yellow")
    if view.expires_at is not None and view.expires_at <= time.time():
        return style("expired", fg="yellow")
    return style("valid", fg="green")


def _conditions(view: KeyView) -> list[str]:
    """What a key is made with beside its scopes, in lines that fit under its own."""
    told: list[str] = []
    if view.owner_name not in ("", LOCAL_USER_NAME):
        told.append(f"of {view.owner_name}")
    if view.expires_at is not None:
        told.append(f"until {_moment(view.expires_at)}")
    if view.models:
        told.append(f"models {', '.join(view.models)}")
    if view.denied_models:
        told.append(f"not {', '.join(view.denied_models)}")
    told.extend(_limits(view))
    if quota := quota_and_use(view):
        told.append(quota)
    if view.previous_until is not None:
        told.append(f"its old secret until {_moment(view.previous_until)}")
    lines = textwrap.wrap(
        "; ".join(told),
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [style(line, dim=True) for line in lines]


def _limits(view: KeyView) -> Iterator[str]:
    limits = view.limits
    if limits.requests_per_minute is not None:
        yield f"{count(limits.requests_per_minute, 'request')} a minute"
    if limits.tokens_per_minute is not None:
        yield f"{count(limits.tokens_per_minute, 'token')} a minute"
    if limits.concurrent_requests is not None:
        yield f"{count(limits.concurrent_requests, 'request')} at once"


def _moment(at: float) -> str:
    """A moment in the time zone of who looks: ``2027-01-31 12:00``."""
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"
