"""Keys that are edited between their requests: what they are now is what counts at the next one."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.config import Settings
from hydra_box.errors import HydraError, InsufficientQuota, RateLimited, Unauthenticated
from hydra_box.gateway.access import caller_of
from hydra_box.gateway.admission import Admission, Ticket
from hydra_box.keys import KeyRing
from hydra_box.messages import CreateKeyRequest, EditKeyRequest
from hydra_box.store import Store
from hydra_box.types import QuotaPeriod, TokenQuota
from hydra_box.users import Users
from tests.gateway.asking import a_key
from tests.gateway.harness import Gateway
from tests.told import Told


async def test_a_clock_that_is_set_back_keeps_no_key_from_its_next_day(gateway: Gateway) -> None:
    now = [4000 * DAY]
    quota = TokenQuota(tokens=10, period=QuotaPeriod.DAY)
    key = gateway.keys.authenticate(f"Bearer {await a_key(gateway, quota=quota)}")
    caller = caller_of(key, gateway.keys.owner_of(key))
    admission = Admission(gateway.keys, Settings(), zone=UTC, now=lambda: now[0])

    def ask() -> Ticket:
        with admission.door(caller):
            return admission.admit(caller, public=True, reservation=5)

    admission.settle(ask(), 10)
    now[0] = DAY
    with pytest.raises(InsufficientQuota):
        ask()
    now[0] = 2 * DAY
    admission.settle(ask(), 5)


DAY = 86_400.0
REQUEST = st.tuples(st.just("request"), st.integers(1, 300))
END = st.tuples(st.just("end"), st.integers(0, 100))
EDIT = st.tuples(st.sampled_from(["quota", "at once"]), st.integers(1, 600))
SHUT = st.tuples(st.sampled_from(["disable", "enable", "enable", "revoke"]), st.just(0))


class Player:
    """One key, and the rules for it once more."""

    def __init__(self, keys: KeyRing, secret: str) -> None:
        self.keys = keys
        self.bearer = f"Bearer {secret}"
        self.admission = Admission(keys, Settings())
        self.quota: int | None = None
        self.at_once: int | None = None
        self.open = True
        self.revoked = False
        self.used = 0
        self.tickets: list[Ticket] = []

    async def edit(self, what: str, value: int) -> None:
        """Change the key."""
        if what == "quota":
            self.quota = value
            await self.keys.edit("k", EditKeyRequest(quota=TokenQuota(tokens=value)))
        elif what == "at once":
            self.at_once = value % 4 + 1
            await self.keys.edit("k", EditKeyRequest(concurrent_requests=self.at_once))
        elif what == "revoke":
            self.revoked = True
            await self.keys.revoke("k")
        else:
            self.open = what == "enable"
            await self.keys.edit("k", EditKeyRequest(disabled=not self.open))

    def request(self, reservation: int) -> None:
        """The key's next request is let in exactly when it may be."""
        reserved = sum(one.reservation for one in self.tickets)
        expected: type[Exception] | None = None
        if self.revoked or not self.open:
            expected = Unauthenticated
        elif self.at_once is not None and len(self.tickets) >= self.at_once:
            expected = RateLimited
        elif self.quota is not None and self.used + reserved >= self.quota:
            expected = InsufficientQuota
        answer = self._ask(reservation)
        if isinstance(answer, Ticket):
            assert expected is None
            self.tickets.append(answer)
        else:
            assert type(answer) is expected

    def _ask(self, reservation: int) -> Ticket | HydraError:
        try:
            key = self.keys.authenticate(self.bearer)
            caller = caller_of(key, self.keys.owner_of(key))
            with self.admission.door(caller):
                return self.admission.admit(caller, public=True, reservation=reservation)
        except HydraError as error:
            return error

    def end(self, percent: int) -> None:
        """The oldest request ends."""
        if self.tickets:
            ticket = self.tickets.pop(0)
            tokens = ticket.reservation * percent // 100
            self.admission.settle(ticket, tokens)
            self.used += tokens


async def play(steps: list[tuple[str, int]], directory: Path) -> None:
    store = await Store.open(directory / "hydra-box.db")
    try:
        users = Users(store, record=Told())
        await users.load()
        keys = KeyRing(store, users=users, record=Told())
        await keys.load()
        secret = (await keys.create(CreateKeyRequest(name="k"), users.local)).key
        player = Player(keys, secret)
        for what, value in steps:
            if what == "request":
                player.request(value)
            elif what == "end":
                player.end(value)
            elif not player.revoked:
                await player.edit(what, value)
    finally:
        await store.close()


@settings(max_examples=60)
@given(st.lists(REQUEST | REQUEST | END | EDIT | SHUT, max_size=30))
def test_what_a_key_is_now_counts_at_its_next_request(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory(prefix="hb-") as directory:
        asyncio.run(play(steps, Path(directory)))
