"""The options that say what a key may do: of a new one, and of one that is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypedDict, TypeVar

import click
from msgspec import UNSET

from hydra_box.cli.key_values import NOTHING, Expiry, Nothing, OrNothing, Quota
from hydra_box.messages import CreateKeyRequest, EditKeyRequest
from hydra_box.types import KeyLimits, Scope, TokenQuota

HIGHEST_LIMIT: Final = 10**12
_LIMIT: Final = click.IntRange(min=1, max=HIGHEST_LIMIT)
_SCOPES: Final = click.Choice([scope.value for scope in Scope])

F = TypeVar("F", bound=Callable[..., Any])


class Terms(TypedDict):
    """The values of the options of a new key."""

    user: str | None
    scopes: tuple[str, ...]
    expires: float | None
    models: tuple[str, ...]
    denied: tuple[str, ...]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    quota: TokenQuota | None


class Changes(TypedDict):
    """The values of the options of a key that is changed; None and (): as it is."""

    new_name: str | None
    scopes: tuple[str, ...]
    expires: float | Nothing | None
    models: tuple[str, ...]
    any_model: bool
    denied: tuple[str, ...]
    no_deny: bool
    requests_per_minute: int | Nothing | None
    tokens_per_minute: int | Nothing | None
    concurrent_requests: int | Nothing | None
    quota: TokenQuota | Nothing | None


def terms(command: F) -> F:
    """The options of a new key."""
    options = (
        click.option("--user", metavar="USER", help="Whose key it is [default: the box's owner]."),
        click.option(
            "--scope",
            "scopes",
            multiple=True,
            type=_SCOPES,
            default=(Scope.INFERENCE.value,),
            show_default=True,
            help="What it may do; may be given twice.",
        ),
        click.option(
            "--expires",
            type=Expiry(),
            metavar="WHEN",
            help="When it ends: in 12h, 30d or 4w, or as the day 2027-01-31 begins "
            "[default: never].",
        ),
        click.option(
            "--model",
            "models",
            multiple=True,
            metavar="GLOB",
            help="Access names that it may call: 'public/*'; may be repeated [default: all].",
        ),
        click.option(
            "--deny",
            "denied",
            multiple=True,
            metavar="GLOB",
            help="Access names that it may not call, whatever --model says; may be repeated.",
        ),
        _limit("--requests-per-minute", "More are refused [default: no limit].", _LIMIT),
        _limit("--tokens-per-minute", "Of prompts and answers [default: no limit].", _LIMIT),
        _limit(
            "--concurrent-requests",
            "Running or waiting [default: the setting key_concurrency_limit].",
            _LIMIT,
        ),
        click.option(
            "--quota",
            type=Quota(),
            metavar="TOKENS",
            help="Of public services: 100000 in all, or 100000/day, /week, /month "
            "[default: no quota].",
        ),
    )
    return _with(command, options)


def changes(command: F) -> F:
    """The options of a key that is changed."""
    limit = OrNothing("none", _LIMIT)
    options = (
        click.option("--name", "new_name", metavar="NAME", help="Another name."),
        click.option(
            "--scope",
            "scopes",
            multiple=True,
            type=_SCOPES,
            help="What it may do from now on; may be given twice.",
        ),
        click.option(
            "--expires",
            type=OrNothing("never", Expiry()),
            metavar="WHEN",
            help="When it ends: in 12h, 30d or 4w, as the day 2027-01-31 begins, or never.",
        ),
        click.option(
            "--model",
            "models",
            multiple=True,
            metavar="GLOB",
            help="All the access names that it may call; may be repeated.",
        ),
        click.option("--any-model", is_flag=True, help="It may call every one again."),
        click.option(
            "--deny",
            "denied",
            multiple=True,
            metavar="GLOB",
            help="All the access names that it may not call; may be repeated.",
        ),
        click.option("--no-deny", is_flag=True, help="None is denied any more."),
        _limit("--requests-per-minute", "More are refused; or none.", limit),
        _limit("--tokens-per-minute", "Of prompts and answers; or none.", limit),
        _limit("--concurrent-requests", "Running or waiting; or none of its own.", limit),
        click.option(
            "--quota",
            type=OrNothing("none", Quota()),
            metavar="TOKENS",
            help="Of public services: 100000 in all, or 100000/day, /week, /month; or none.",
        ),
    )
    return _with(command, options)


def new_key(name: str, given: Terms) -> CreateKeyRequest:
    """The request for a new key."""
    return CreateKeyRequest(
        name=name,
        user=given["user"],
        scopes=tuple(dict.fromkeys(Scope(scope) for scope in given["scopes"])),
        expires_at=given["expires"],
        models=given["models"],
        denied_models=given["denied"],
        limits=KeyLimits(
            requests_per_minute=given["requests_per_minute"],
            tokens_per_minute=given["tokens_per_minute"],
            concurrent_requests=given["concurrent_requests"],
        ),
        quota=given["quota"],
    )


def changed_key(given: Changes) -> EditKeyRequest:
    """The request for a change.

    Raises:
        click.UsageError: nothing is to be changed, or one thing in two ways.

    """
    for globs, flag, words in (
        (given["models"], given["any_model"], "--model and --any-model"),
        (given["denied"], given["no_deny"], "--deny and --no-deny"),
    ):
        if globs and flag:
            raise click.UsageError(f"give one of {words}")
    values: dict[str, Any] = {
        "name": given["new_name"],
        "scopes": tuple(dict.fromkeys(Scope(scope) for scope in given["scopes"])) or None,
        "expires_at": given["expires"],
        "models": () if given["any_model"] else given["models"] or None,
        "denied_models": () if given["no_deny"] else given["denied"] or None,
        "requests_per_minute": given["requests_per_minute"],
        "tokens_per_minute": given["tokens_per_minute"],
        "concurrent_requests": given["concurrent_requests"],
        "quota": given["quota"],
    }
    if all(value is None for value in values.values()):
        raise click.UsageError("give at least one of the options that change it")
    asked: dict[str, Any] = {name: _asked(value) for name, value in values.items()}
    return EditKeyRequest(**asked)


def _asked(value: object) -> object:
    """A value as the request has it, where None takes away, and nothing at all leaves it."""
    if value is None:
        return UNSET
    return None if value is NOTHING else value


def _limit(option: str, text: str, kind: click.ParamType[Any]) -> Callable[[F], F]:
    return click.option(option, type=kind, metavar="N", help=text)


def _with(command: F, options: tuple[Callable[[F], F], ...]) -> F:
    # As decorators stand above each other: the last is applied first.
    for option in reversed(options):
        command = option(command)
    return command
