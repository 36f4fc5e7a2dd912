"""The rows of actual state: in memory at once, in the store soon."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from hydra_box.journal import Journal
from hydra_box.plan.lifecycle import ALLOWED
from hydra_box.store import Store
from hydra_box.types import Instance


class Instances:
    """Every instance of every service; each change wakes whoever waits for ``changed``."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self._rows: dict[str, Instance] = {}
        self._of: dict[str, dict[str, Instance]] = {}
        """The same, by service: each look at all services asks for those of each."""
        self._unwritten: set[str] = set()
        """Ids of those for which a write waits already: it will write what is true by then."""
        self.changed = asyncio.Event()

    async def left(self) -> tuple[Instance, ...]:
        """The rows that an earlier daemon left; none of them is known yet."""
        return tuple(await self._store.instances())

    def take_over(self, instance: Instance) -> None:
        """Know an instance that an earlier daemon left.

        Its row stays as it is until the instance changes: should this daemon be killed as well,
        the next one finds what was true.
        """
        self._know(instance)
        self.changed.set()

    def drop(self, instance_id: str) -> None:
        """Remove the row of an instance that does not go on."""
        self._write_later(instance_id)

    async def delete_service(self, service_id: str) -> None:
        """Remove the row of a service, to which rows of instances belong."""
        await self._store.delete_service(service_id)

    def __getitem__(self, instance_id: str) -> Instance:
        return self._rows[instance_id]

    def get(self, instance_id: str) -> Instance | None:
        """The instance, if it is still known."""
        return self._rows.get(instance_id)

    def all(self) -> tuple[Instance, ...]:
        """Every instance."""
        return tuple(self._rows.values())

    def of(self, service_id: str) -> list[Instance]:
        """The instances of a service, oldest first."""
        found = self._of.get(service_id, {})
        return sorted(found.values(), key=lambda one: (one.created_at, one.id))

    def change(self, instance_id: str, **changes: Any) -> Instance:
        """Change an instance along the arrows of its life.

        Raises:
            RuntimeError: its state has no arrow to the new one.
        """
        old = self._rows[instance_id]
        new = msgspec.structs.replace(old, **changes)
        if new.state is not old.state and new.state not in ALLOWED[old.state]:
            raise RuntimeError(f"{instance_id}: {old.state} cannot become {new.state}")
        return self.save(new)

    def save(self, instance: Instance) -> Instance:
        """Insert an instance, or replace the one of its id."""
        self._know(instance)
        self._write_later(instance.id)
        self.changed.set()
        return instance

    def forget(self, instance_id: str) -> None:
        """Remove an instance that is over."""
        service_id = self._rows.pop(instance_id).service_id
        del self._of[service_id][instance_id]
        if not self._of[service_id]:
            del self._of[service_id]
        self._write_later(instance_id)
        self.changed.set()

    def _know(self, instance: Instance) -> None:
        self._rows[instance.id] = instance
        self._of.setdefault(instance.service_id, {})[instance.id] = instance

    def _write_later(self, instance_id: str) -> None:
        """Have the row written, once however often it changes until then."""
        if instance_id not in self._unwritten:
            self._unwritten.add(instance_id)
            self._journal.enqueue(lambda: self._write(instance_id))

    async def _write(self, instance_id: str) -> None:
        # What changes from now on needs another write; and one that is refused is tried again.
        self._unwritten.discard(instance_id)
        if (instance := self._rows.get(instance_id)) is None:
            await self._store.delete_instance(instance_id)
        else:
            await self._store.save_instance(instance)
