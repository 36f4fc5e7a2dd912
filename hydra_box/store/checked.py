"""Writes that look first: a name is taken once, and what a row belongs to is there."""

from __future__ import annotations

import sqlite_utils

from hydra_box.errors import Conflict, NotFound
from hydra_box.store.tables import INSTANCES, KEYS, SERVICES, STORED_MODELS, USERS
from hydra_box.types import ApiKey, Instance, Service, StoredModel, User


def save_user(db: sqlite_utils.Database, user: User) -> None:
    """Insert the user, or replace the one of its id.

    Raises:
        Conflict: another user has the name.

    """
    if USERS.select(db, "name = :name AND id != :id", name=user.name, id=user.id):
        raise Conflict(
            f"the user name {user.name!r} is taken",
            hint="choose another name",
            param="name",
        )
    USERS.save(db, user)


def save_service(db: sqlite_utils.Database, service: Service) -> None:
    """Insert the service, or replace the one of its id.

    Raises:
        Conflict: another service has the name.
        NotFound: its owner does not exist.

    """
    if SERVICES.select(db, "name = :name AND id != :id", name=service.name, id=service.id):
        raise Conflict(
            f"the service name {service.name!r} is taken",
            hint="choose another name, or delete that service first",
            param="name",
        )
    _require_owner(db, service.owner_id)
    SERVICES.save(db, service)


def save_instance(db: sqlite_utils.Database, instance: Instance) -> None:
    """Insert the instance, or replace the one of its id.

    Raises:
        NotFound: its service does not exist.

    """
    if not SERVICES.select(db, "id = :id", id=instance.service_id):
        raise NotFound(
            f"instance {instance.id} belongs to the service {instance.service_id}, "
            "which does not exist"
        )
    INSTANCES.save(db, instance)


def save_key(db: sqlite_utils.Database, key: ApiKey) -> None:
    """Insert the key, or replace the one of its id.

    Raises:
        Conflict: another key that is not revoked has the name.
        NotFound: its owner does not exist.

    """
    taken = "name = :name AND id != :id AND revoked_at IS NULL"
    if key.revoked_at is None and KEYS.select(db, taken, name=key.name, id=key.id):
        raise Conflict(
            f"the key name {key.name!r} is taken",
            hint="choose another name, or revoke that key first",
            param="name",
        )
    _require_owner(db, key.owner_id)
    KEYS.save(db, key)


def save_stored_model(db: sqlite_utils.Database, model: StoredModel) -> None:
    """Insert the model, or replace the one of its id.

    Raises:
        Conflict: another model has the name or the path.

    """
    taken = "(name = :name OR path = :path) AND id != :id"
    found = STORED_MODELS.select(db, taken, name=model.name, path=model.path, id=model.id)
    if found:
        raise Conflict(
            f"the library has {found[0].name}, at {found[0].path}",
            hint="give another name, or remove that model first",
            param="name",
        )
    STORED_MODELS.save(db, model)


def _require_owner(db: sqlite_utils.Database, owner_id: str) -> None:
    if not USERS.select(db, "id = :id", id=owner_id):
        raise NotFound(f"the user {owner_id} does not exist")
