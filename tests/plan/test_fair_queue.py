"""Turns in the queue: the same tokens for every flow that always waits, whatever its requests."""

from __future__ import annotations

from collections import Counter, deque
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hydra_box.plan.fair_queue import FairQueue

QUANTUM = 100
COSTS = st.integers(1, 1000)


def served(queue: FairQueue[str], times: int) -> list[str]:
    return [queue.take() for _ in range(times)]


def fill(queue: FairQueue[tuple[str, int]], flow: str, costs: list[int]) -> None:
    for number, cost in enumerate(costs):
        queue.add(flow, (flow, number), cost)


def test_one_flow_is_served_in_its_order() -> None:
    queue = FairQueue[str](QUANTUM)
    for item, cost in (("a", 1000), ("b", 1), ("c", 70)):
        queue.add("flow", item, cost)
    assert list(queue) == ["a", "b", "c"]
    assert served(queue, 3) == ["a", "b", "c"]
    assert queue.peek() is None
    assert queue.longest() is None
    with pytest.raises(IndexError, match="nobody waits"):
        queue.take()


def test_who_comes_late_waits_for_a_round_and_not_for_the_queue() -> None:
    queue = FairQueue[str](QUANTUM)
    for number in range(500):
        queue.add("heavy", f"heavy-{number}", QUANTUM)
    assert served(queue, 2) == ["heavy-0", "heavy-1"]
    for name in "xyz":
        queue.add(name, name, 10)
    assert set(served(queue, 5)) >= set("xyz")


def test_neither_many_small_nor_few_large_requests_win() -> None:
    queue = FairQueue[str](QUANTUM)
    for number in range(1000):
        queue.add("small", f"s{number}", 10)
    for number in range(20):
        queue.add("large", f"l{number}", 1000)
    tokens = Counter[str]()
    while min(queue.waiting_of("small"), queue.waiting_of("large")):
        item = queue.take()
        tokens[item[0]] += 10 if item[0] == "s" else 1000
    assert abs(tokens["s"] - tokens["l"]) <= QUANTUM + 1000


def test_what_a_request_took_beyond_what_was_thought_is_owed() -> None:
    queue = FairQueue[str](QUANTUM)
    for number in range(50):
        queue.add("long", f"long-{number}", QUANTUM)
        queue.add("plain", f"plain-{number}", QUANTUM)
    assert queue.take() == "long-0"
    queue.settle("long", QUANTUM, 11 * QUANTUM)
    assert served(queue, 10) == [f"plain-{number}" for number in range(10)]
    assert {item[:5] for item in served(queue, 2)} == {"long-", "plain"}


def test_what_was_not_taken_comes_back_and_is_spent_in_portions() -> None:
    queue = FairQueue[str](QUANTUM)
    for number in range(60):
        queue.add("short", f"short-{number}", QUANTUM)
        queue.add("plain", f"plain-{number}", QUANTUM)
    for item in served(queue, 20):
        if item.startswith("short"):
            queue.settle("short", QUANTUM, 0)
    turns = "".join(item[0] for item in served(queue, 30))
    assert turns.count("s") == 20
    assert "sss" not in turns


def test_who_stops_waiting_keeps_no_credit() -> None:
    queue = FairQueue[str](QUANTUM)
    for number in range(30):
        queue.add("busy", f"b{number}", QUANTUM)
    queue.add("idle", "i", 1)
    assert "i" in served(queue, 2)
    queue.settle("idle", 1, -50 * QUANTUM)
    for number in range(30):
        queue.add("idle", f"i{number}", QUANTUM)
    assert "".join(item[0] for item in served(queue, 10)).count("i") == 5


def test_a_debt_outlives_a_pause_and_is_worked_off_by_the_rounds() -> None:
    def turn_after(rounds: int) -> int:
        """How many others come first when the debtor comes again after so many rounds."""
        queue = FairQueue[str](QUANTUM)
        for number in range(60):
            queue.add("busy", f"b{number}", QUANTUM)
        queue.add("debtor", "d", QUANTUM)
        while queue.take() != "d":
            pass
        queue.settle("debtor", QUANTUM, 9 * QUANTUM)
        served(queue, rounds)
        queue.add("debtor", "again", QUANTUM)
        for turns in count():
            if queue.take() == "again":
                return turns
        raise AssertionError

    turns = [turn_after(rounds) for rounds in (0, 4, 30)]
    assert turns[0] > turns[1] > turns[2]
    assert turns[2] <= 1


def test_a_debt_is_forgotten_when_nobody_waits() -> None:
    queue = FairQueue[str](QUANTUM)
    queue.add("a", "a", QUANTUM)
    queue.add("b", "b", QUANTUM)
    assert queue.take() == "a"
    queue.settle("a", QUANTUM, 1000 * QUANTUM)
    assert queue.take() == "b"
    queue.add("b", "b2", QUANTUM)
    queue.add("a", "a2", QUANTUM)
    queue.add("b", "b3", QUANTUM)
    assert set(served(queue, 2)) == {"a2", "b2"}


def test_the_longest_flow_and_its_last() -> None:
    queue = FairQueue[str](QUANTUM)
    queue.add("a", "a0", 1)
    for number in range(3):
        queue.add("b", f"b{number}", 1)
    assert queue.longest() == ("b", "b2")
    assert (queue.waiting_of("b"), queue.waiting_of("nobody")) == (3, 0)


@given(st.lists(st.lists(COSTS, min_size=1, max_size=40), min_size=2, max_size=6))
def test_the_share_of_flows_that_always_wait(flows: list[list[int]]) -> None:
    """Bound of deficit round robin: one quantum and one largest request."""
    queue = FairQueue[tuple[str, int]](QUANTUM)
    tokens = Counter[str]()
    for name, costs in enumerate(flows):
        fill(queue, str(name), costs)
        tokens[str(name)] = 0
    bound = QUANTUM + max(max(costs) for costs in flows)
    while all(queue.waiting_of(name) for name in tokens):
        flow, number = queue.take()
        tokens[flow] += flows[int(flow)][number]
        assert max(tokens.values()) - min(tokens.values()) <= bound


@given(st.lists(st.lists(st.tuples(COSTS, COSTS), min_size=1, max_size=40), min_size=2, max_size=5))
def test_the_share_counts_what_requests_really_took(flows: list[list[tuple[int, int]]]) -> None:
    """Each has what it was thought to cost, and what it took."""
    queue = FairQueue[tuple[str, int]](QUANTUM)
    tokens = Counter[str]()
    for name, costs in enumerate(flows):
        fill(queue, str(name), [expected for expected, _ in costs])
        tokens[str(name)] = 0
    largest = max(max(pair) for costs in flows for pair in costs)
    shares = [Counter(tokens)]
    while all(queue.waiting_of(name) for name in tokens):
        flow, number = queue.take()
        expected, actual = flows[int(flow)][number]
        queue.settle(flow, expected, actual)
        tokens[flow] += actual
        shares.append(Counter(tokens))
    # Credit is spent in portions, so that it may take a while to be even again.
    credit = max(sum(max(0, expected - actual) for expected, actual in costs) for costs in flows)
    for one in shares:
        assert max(one.values()) - min(one.values()) <= 2 * QUANTUM + 2 * largest + credit


class Turns(RuleBasedStateMachine):
    """Whatever comes, leaves and is settled: the order within a flow, the length, and no hang."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FairQueue[int](QUANTUM)
        self.waiting: dict[str, deque[tuple[int, int]]] = {}
        self.numbers = count()

    @rule(flow=st.sampled_from("abcd"), cost=COSTS)
    def add(self, flow: str, cost: int) -> None:
        number = next(self.numbers)
        self.queue.add(flow, number, cost)
        self.waiting.setdefault(flow, deque()).append((number, cost))

    @precondition(lambda self: len(self.queue) > 0)
    @rule(actual=st.integers(0, 5000))
    def take(self, actual: int) -> None:
        turn = self.queue.peek()
        assert turn is not None
        flow, item = turn
        assert self.queue.take() == item
        number, cost = self.waiting[flow].popleft()
        assert item == number
        self.queue.settle(flow, cost, actual)

    @rule(flow=st.sampled_from("abcd"), data=st.data())
    def leave(self, flow: str, data: st.DataObject) -> None:
        if one := self.waiting.get(flow):
            index = data.draw(st.integers(0, len(one) - 1))
            number, _ = one[index]
            del one[index]
            self.queue.discard(flow, number)
            self.queue.discard(flow, number)

    @rule(flow=st.sampled_from("abcde"), expected=COSTS, actual=st.integers(0, 5000))
    def settle(self, flow: str, expected: int, actual: int) -> None:
        self.queue.settle(flow, expected, actual)

    @invariant()
    def same_length(self) -> None:
        assert len(self.queue) == sum(len(one) for one in self.waiting.values())
        assert sorted(self.queue) == sorted(
            number for one in self.waiting.values() for number, _ in one
        )

    def teardown(self) -> None:
        items = [self.queue.take() for _ in range(len(self.queue))]
        for one in self.waiting.values():
            mine = [items.index(number) for number, _ in one]
            assert all(earlier < later for earlier, later in pairwise(mine))
        assert not len(self.queue)


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=200)
