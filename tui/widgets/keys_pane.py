"""What one key may do, under the table that it was selected in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from textual.content import Content
from textual.widgets import Static

from hydra_box.messages import LOCAL_USER_NAME, KeyView, ServiceView
from hydra_box.shown.keys import quota_and_use
from hydra_box.shown.numbers import count
from hydra_box.shown.text import harmless
from tui.widgets.keys_words import (
    MARKS,
    STYLES,
    ends,
    limits,
    matching,
    may,
    moment,
    state_of,
)
from tui.words import ago

_MOST_NAMES: Final = 4
_EMPTY: Final = (
    "[b]No keys yet.[/]\n\n"
    "Apps call the endpoint with a key: press [b]n[/] to make one. "
    "You choose what it may call, how much, and until when."
)


class KeyPane(Static):
    """One key in a few lines."""

    def __init__(self) -> None:
        super().__init__(id="key-pane")

    def tell(self, key: KeyView, services: Iterable[ServiceView], now: float) -> None:
        """Show this key."""
        self.update(Content("\n").join(_lines(key, services, now)))

    def tell_none(self, *, others: bool) -> None:
        """There is nothing to show; ``others``: some keys are hidden."""
        self.update(Content("no key is shown") if others else Content.from_markup(_EMPTY))


def _lines(key: KeyView, services: Iterable[ServiceView], now: float) -> Iterator[Content]:
    state = state_of(key, now)
    yield Content.assemble(
        (harmless(key.name), "bold"),
        "  ",
        (f"{MARKS[state]} {state.value}", STYLES[state]),
        f"  {key.masked}  {key.id}",
    )
    yield Content(f"may {may(key.scopes)}{_owner(key)}")
    services = tuple(services)
    yield Content(f"models    {_models(key, services)}")
    if denied := key.denied_models:
        yield Content(f"denied    {harmless(', '.join(denied))}: {told_matches(denied, services)}")
    yield Content(f"limits    {', '.join(limits(key.limits)) or 'none of its own'}")
    yield from _quota(key)
    made_by = f" by {harmless(key.created_by)}" if key.created_by else ""
    yield Content(
        f"created   {moment(key.created_at)} ({ago(key.created_at, now)}){made_by}, "
        f"last used {ago(key.last_used_at, now)}"
    )
    yield Content(f"expires   {_end(key.expires_at, now)}")
    if key.previous_until is not None and key.previous_until > now:
        yield Content(f"rotated   its old secret opens until {_end(key.previous_until, now)}")
    for word, at in (("revoked", key.revoked_at), ("disabled", key.disabled_at)):
        if at is not None:
            yield Content.styled(f"{word:10}{_end(at, now)}", STYLES[state])
    if key.owner_disabled_at is not None:
        told = f"its user since {_end(key.owner_disabled_at, now)}"
        yield Content.styled(f"disabled  {told}", STYLES[state])


def _quota(key: KeyView) -> Iterator[Content]:
    if key.quota is None:
        return
    is_used_up = (key.quota_used_tokens or 0) >= key.quota.tokens
    told = f"quota     {quota_and_use(key)}"
    yield Content.styled(f"{told}: used up", "$text-warning") if is_used_up else Content(told)


def _owner(key: KeyView) -> str:
    """Whose it is, where that is not who has the box."""
    return "" if key.owner_name in ("", LOCAL_USER_NAME) else f", for {harmless(key.owner_name)}"


def _end(at: float | None, now: float) -> str:
    return ends(at, now) if at is None else f"{moment(at)} ({ends(at, now)})"


def _models(key: KeyView, services: Iterable[ServiceView]) -> str:
    if not key.models:
        return "every service of its owner, and public ones"
    return f"{harmless(', '.join(key.models))}: {told_matches(key.models, services)}"


def told_matches(globs: tuple[str, ...], services: Iterable[ServiceView]) -> str:
    """Which services the globs match now, in words."""
    services = tuple(services)
    names = matching(globs, services)
    if not names:
        return f"matches none of {count(len(services), 'service')} now"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    idle = [glob for glob in globs if not matching((glob,), services)]
    none = f"; {harmless(', '.join(idle))}: none" if idle else ""
    shown = ", ".join(names[:_MOST_NAMES])
    return f"matches {len(names)} of {len(services)} now: {shown}{more}{none}"
