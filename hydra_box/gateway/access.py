"""Who may call which service: pure decisions over keys and services."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

from hydra_box.errors import Forbidden, ModelNotFound
from hydra_box.types import ApiKey, Frozen, KeyLimits, Scope, Service, TokenQuota, User

MOST_SUGGESTIONS = 3


class Caller(Frozen, frozen=True, kw_only=True):
    """On whose behalf a request is made."""

    name: str
    """Of the key; without one, of the box's owner."""
    key_id: str | None
    """None: no key was needed."""
    owner_id: str
    """The user whose services it may call, and to whose name it is written in the books."""
    owner_name: str
    everything: bool
    """It may call every service, whoever owns it."""
    may_infer: bool
    models: tuple[str, ...] = ()
    """Globs over access names, of which one has to match; empty: all do."""
    denied_models: tuple[str, ...] = ()
    """Globs over access names, of which none may match."""
    limits: KeyLimits = KeyLimits()
    quota: TokenQuota | None = None


def local_caller(local_user: User) -> Caller:
    """Who comes over a way that only the box's owner has."""
    return Caller(
        name=local_user.name,
        key_id=None,
        owner_id=local_user.id,
        owner_name=local_user.name,
        everything=True,
        may_infer=True,
    )


def caller_of(key: ApiKey, owner: User) -> Caller:
    """What a key entitles to."""
    return Caller(
        name=key.name,
        key_id=key.id,
        owner_id=owner.id,
        owner_name=owner.name,
        everything=Scope.ADMIN in key.scopes,
        may_infer=Scope.INFERENCE in key.scopes,
        models=key.models,
        denied_models=key.denied_models,
        limits=key.limits,
        quota=key.quota,
    )


def check_may_infer(caller: Caller) -> None:
    """Whether the caller may use the endpoint at all.

    Raises:
        Forbidden: its key has not the scope.

    """
    if not caller.may_infer:
        raise Forbidden(
            f"the key {caller.name!r} has no {Scope.INFERENCE} scope",
            hint=f"hydra-box keys create --name NAME --scope {Scope.INFERENCE} makes one that has",
        )


def may_call(caller: Caller, service: Service) -> bool:
    """Whether the caller may call this service.

    It is its owner's, a public one, or any for an admin; one of its key's globs matches it, if
    there are any; and none of the globs that its key is denied does.
    """
    mine = service.public or caller.everything or service.owner_id == caller.owner_id
    return mine and _matches(caller, service) and _denial(caller, service) is None


def refusal(caller: Caller, service: Service) -> Forbidden:
    """Why an admin's key may not call a service, which its globs keep from it.

    Who has another key does not learn that there is one: see ``unknown_model``.
    """
    fact = f"the key {caller.name!r} may not call {service.access_name!r}"
    if denied := _denial(caller, service):
        return Forbidden(
            f"{fact}: it is denied {denied}",
            hint="hydra-box keys edit NAME --deny GLOB gives it other globs, --no-deny none",
            param="model",
        )
    return Forbidden(
        f"{fact}: it is for {', '.join(caller.models[:MOST_SUGGESTIONS])}"
        f"{' and others' if len(caller.models) > MOST_SUGGESTIONS else ''}",
        hint="hydra-box keys edit NAME --model GLOB gives it other globs, --any-model none",
        param="model",
    )


def _denial(caller: Caller, service: Service) -> str | None:
    """The first glob that denies the service."""
    globs = caller.denied_models
    return next((glob for glob in globs if fnmatchcase(service.access_name, glob)), None)


def _matches(caller: Caller, service: Service) -> bool:
    globs = caller.models
    return not globs or any(fnmatchcase(service.access_name, glob) for glob in globs)


def unknown_model(caller: Caller, model: str, callable_names: Iterable[str]) -> ModelNotFound:
    """The answer to an access name that no service has, or none that the caller may call.

    It is the same for both, so that nobody finds out what others have.
    """
    names = sorted(callable_names)
    near = nearest(model, names)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif names:
        hint = f"this key may call {', '.join(names[:MOST_SUGGESTIONS])}"
    elif caller.everything:
        hint = "no service can be called yet; hydra-box quickstart makes one"
    else:
        hint = "this key may call none yet; hydra-box keys show NAME tells which it is for"
    whose = "" if caller.everything else f" that the key {caller.name!r} may call"
    fact = f"no service{whose} has the access name {model!r}"
    return ModelNotFound(fact, hint=hint, param="model")


def nearest(model: str, names: Iterable[str]) -> list[str]:
    """The names most like ``model``, best first; the part after the slash may stand for all."""
    by_short: dict[str, list[str]] = {}
    for name in names:
        by_short.setdefault(name.rpartition("/")[2], []).append(name)
    short = model.rpartition("/")[2]
    close = difflib.get_close_matches(short, by_short, n=MOST_SUGGESTIONS, cutoff=0.5)
    return [name for one in close for name in by_short[one]][:MOST_SUGGESTIONS]
