import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import QueueFull, ShuttingDown
from handiwork.executions.queue import Turns


@dataclass(slots=True)
class Hands:
    """A clock whose hands the test moves."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(slots=True, eq=False)
class Caller:
    """One who asks for a turn and keeps it until told to end; how it ended stands in `task`."""

    tenant: str
    end: asyncio.Event
    task: "asyncio.Task[None]"


@dataclass(slots=True)
class Hall:
    """Callers of one queue; `begun` has those that got their turn, in that order."""

    turns: Turns
    callers: list[Caller] = field(default_factory=list[Caller])
    begun: list[Caller] = field(default_factory=list[Caller])

    def ask(self, tenant: str) -> Caller:
        end = asyncio.Event()

        async def hold() -> None:
            async with self.turns.turn(tenant):
                self.begun.append(caller)
                await end.wait()

        caller = Caller(tenant, end, asyncio.create_task(hold()))
        self.callers.append(caller)
        return caller

    def running(self) -> list[Caller]:
        return [caller for caller in self.begun if not caller.task.done()]

    def waiting(self) -> list[Caller]:
        return [caller for caller in self.callers if caller not in self.begun and not caller.task.done()]

    def order(self) -> str:
        return "".join(caller.tenant for caller in self.begun)

    async def run_out(self) -> None:
        """End every turn, those that begin thereby too."""
        while running := self.running():
            for caller in running:
                caller.end.set()
            await settled()


async def settled() -> None:
    """Let everything happen that can: a hand-over takes a few rounds of the loop."""
    for _ in range(8):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def hall(
    *, slots: int = 1, depth: int = 2000, per_tenant: int = 2000, clock: Hands | None = None
) -> AsyncGenerator[Hall]:
    opened = Hall(Turns(slots=slots, depth=depth, per_tenant=per_tenant, monotonic=clock or Hands()))
    try:
        yield opened
    finally:
        for caller in opened.callers:
            caller.task.cancel()
        await asyncio.gather(*(caller.task for caller in opened.callers), return_exceptions=True)
        assert (opened.turns.waiting, opened.turns.running) == (0, 0)


# Turns


async def test_as_many_run_as_there_are_slots_and_the_rest_waits() -> None:
    async with hall(slots=2) as room:
        first, _second, _third = room.ask("a"), room.ask("a"), room.ask("a")
        await settled()
        assert (len(room.begun), room.turns.running, room.turns.waiting) == (2, 2, 1)
        first.end.set()
        await settled()
        assert (len(room.begun), room.turns.running, room.turns.waiting) == (3, 2, 0)


async def test_one_tenant_is_served_first_come_first_served() -> None:
    async with hall() as room:
        asked = [room.ask("a") for _ in range(20)]
        await settled()
        await room.run_out()
        assert room.begun == asked


async def test_tenants_take_turns() -> None:
    async with hall() as room:
        for tenant in "aaaabbbcc":
            room.ask(tenant)
        await settled()
        await room.run_out()
        assert room.order() == "abcabcaba"


@pytest.mark.parametrize("slots", [1, 4])
async def test_a_thousand_waiting_delay_another_tenant_by_no_more_than_what_runs(slots: int) -> None:
    async with hall(slots=slots) as room:
        for _ in range(1000):
            room.ask("a")
        await settled()
        other = room.ask("b")
        await settled()
        room.begun[0].end.set()
        await settled()
        assert room.begun[-1] is other


async def test_a_tenant_whose_turns_are_long_does_not_fill_the_slots() -> None:
    async with hall(slots=2) as room:
        for tenant in "aaaabbbb":
            room.ask(tenant)
        await settled()
        room.begun[0].end.set()
        await settled()
        for _ in range(3):
            next(caller for caller in room.running() if caller.tenant == "b").end.set()
            await settled()
            assert sorted(caller.tenant for caller in room.running()) == ["a", "b"]


async def test_a_stream_of_new_tenants_does_not_starve_one_that_waits() -> None:
    async with hall() as room:
        for _ in range(3):
            room.ask("patient")
        await settled()
        for number in range(10):
            room.ask(f"new-{number}")
            await settled()
            room.running()[0].end.set()
            await settled()
        assert sum(caller.tenant == "patient" for caller in room.begun) == 3


async def test_a_turn_that_fails_gives_its_slot_back() -> None:
    turns = Turns(slots=1, depth=1, per_tenant=1)
    with pytest.raises(ValueError, match="broken"):
        async with turns.turn("a"):
            raise ValueError("broken")
    async with asyncio.timeout(5), turns.turn("a"):
        assert turns.running == 1


# Bounds


async def test_more_than_the_depth_are_refused_at_once_and_others_are_not_harmed() -> None:
    async with hall(depth=2, per_tenant=2) as room:
        for tenant in "abc":
            room.ask(tenant)
        await settled()
        with pytest.raises(QueueFull) as refused:
            async with room.turns.turn("d"):
                pass
        assert (refused.value.bound, refused.value.limit) == ("depth", 2)
        await room.run_out()
        assert room.order() == "abc"


async def test_more_than_one_tenant_may_have_waiting_are_refused_to_it_alone() -> None:
    async with hall(depth=10, per_tenant=2) as room:
        for _ in range(3):
            room.ask("a")
        await settled()
        with pytest.raises(QueueFull) as refused:
            async with room.turns.turn("a"):
                pass
        assert (refused.value.bound, refused.value.limit) == ("per_tenant", 2)
        room.ask("b")
        await settled()
        assert room.turns.waiting == 3


async def test_one_can_ask_for_room_before_it_comes() -> None:
    turns = Turns(slots=1, depth=0, per_tenant=0)
    turns.demand_room("a")
    async with turns.turn("a"):
        with pytest.raises(QueueFull):
            turns.demand_room("a")
    turns.demand_room("a")
    turns.close()
    with pytest.raises(ShuttingDown):
        turns.demand_room("a")


async def test_a_place_that_a_cancelled_one_leaves_can_be_taken() -> None:
    async with hall(depth=1) as room:
        room.ask("a")
        gone = room.ask("a")
        await settled()
        gone.task.cancel()
        await settled()
        room.ask("a")
        await settled()
        assert room.turns.waiting == 1


async def refusal(turns: Turns, tenant: str) -> QueueFull:
    with pytest.raises(QueueFull) as refused:
        async with turns.turn(tenant):
            pass
    return refused.value


@pytest.mark.parametrize(("lasted", "slots", "told"), [(0, 1, 1), (0.1, 1, 1), (3, 1, 15), (3, 2, 8), (600, 1, 60)])
async def test_when_to_try_again_follows_from_how_long_turns_last(lasted: float, slots: int, told: int) -> None:
    clock = Hands()
    async with hall(slots=slots, depth=4, clock=clock) as room:
        async with room.turns.turn("a"):
            clock.seconds += lasted
        for _ in range(slots + 4):
            room.ask("a")
        await settled()
        assert (await refusal(room.turns, "b")).retry_after_seconds == told


async def test_a_tenant_at_its_own_bound_is_told_of_its_own_share() -> None:
    clock = Hands()
    async with hall(depth=100, per_tenant=2, clock=clock) as room:
        async with room.turns.turn("a"):
            clock.seconds += 3
        for tenant in "aaabbcc":
            room.ask(tenant)
        await settled()
        # Six wait, two of each tenant: after them it is the seventh.
        assert (await refusal(room.turns, "a")).retry_after_seconds == 21


async def test_the_latest_turns_count_most() -> None:
    clock = Hands()
    turns = Turns(slots=1, depth=0, per_tenant=0, monotonic=clock)
    for lasted in [*[1] * 20, *[30] * 20]:
        async with turns.turn("a"):
            clock.seconds += lasted
    async with turns.turn("a"):
        assert 28 <= (await refusal(turns, "b")).retry_after_seconds <= 30


async def test_before_any_turn_has_ended_the_shortest_time_is_told() -> None:
    turns = Turns(slots=1, depth=0, per_tenant=0)
    async with turns.turn("a"):
        assert (await refusal(turns, "b")).retry_after_seconds == 1


# Cancelling


async def test_one_that_is_cancelled_as_its_slot_comes_hands_it_on() -> None:
    async with hall() as room:
        first, second, third = room.ask("a"), room.ask("a"), room.ask("a")
        await settled()
        first.end.set()
        while room.turns.waiting == 2:  # noqa: ASYNC110  # to stop between two rounds of the loop is the point
            await asyncio.sleep(0)
        # The slot is the second's and it does not know yet.
        assert second not in room.begun
        second.task.cancel()
        await settled()
        assert room.begun == [first, third]
        assert (room.turns.running, room.turns.waiting) == (1, 0)


async def test_one_that_is_cancelled_just_before_its_slot_comes_is_passed_over() -> None:
    async with hall() as room:
        first, second, third = room.ask("a"), room.ask("a"), room.ask("a")
        await settled()
        # The first wakes before the second has cleared its place.
        first.task.cancel()
        second.task.cancel()
        await settled()
        assert room.begun == [first, third]


async def test_one_that_is_cancelled_while_it_runs_frees_its_slot_once() -> None:
    async with hall() as room:
        first, second, _third = room.ask("a"), room.ask("a"), room.ask("a")
        await settled()
        first.task.cancel()
        await settled()
        assert room.running() == [second]
        assert (room.turns.running, room.turns.waiting) == (1, 1)


# Closing


async def test_closing_sends_away_who_waits_and_lets_end_what_runs() -> None:
    async with hall() as room:
        running, waiting = room.ask("a"), room.ask("b")
        await settled()
        room.turns.close()
        await settled()
        with pytest.raises(ShuttingDown):
            await waiting.task
        assert (room.turns.running, room.turns.waiting, running.task.done()) == (1, 0, False)
        running.end.set()
        await asyncio.wait_for(running.task, 5)


async def test_nobody_begins_after_closing() -> None:
    turns = Turns(slots=1, depth=1, per_tenant=1)
    turns.close()
    with pytest.raises(ShuttingDown):
        async with turns.turn("a"):
            pass
    assert turns.is_closed


async def test_one_that_is_cancelled_as_the_queue_closes_is_cancelled() -> None:
    async with hall() as room:
        _first, second, third = room.ask("a"), room.ask("a"), room.ask("a")
        await settled()
        second.task.cancel()
        room.turns.close()
        third.task.cancel()
        await settled()
        assert second.task.cancelled()
        assert third.task.cancelled()


# Any order of events, against the rules written down once more

STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "ask", "end", "cancel"]), st.sampled_from("abcd"), st.integers(0, 50)),
    max_size=60,
)


def act(room: Hall, step: tuple[str, str, int]) -> None:
    what, tenant, number = step
    open_ones = [caller for caller in room.callers if not caller.task.done()]
    if what == "ask":
        room.ask(tenant)
    elif what == "cancel" and open_ones:
        open_ones[number % len(open_ones)].task.cancel()
    elif what == "end" and (running := room.running()):
        running[number % len(running)].end.set()


@given(steps=STEPS, slots=st.integers(1, 3))
async def test_a_slot_goes_to_the_first_of_a_tenant_with_the_fewest_running(
    steps: list[tuple[str, str, int]], slots: int
) -> None:
    async with hall(slots=slots) as room:
        for step in steps:
            waited, known = room.waiting(), len(room.begun)
            act(room, step)
            await settled()
            running = Counter(caller.tenant for caller in room.begun[:known] if not caller.task.done())
            for caller in room.begun[known:]:
                rivals = [each for each in waited if not each.task.done()] or [caller]
                assert next(each for each in rivals if each.tenant == caller.tenant) is caller
                assert running[caller.tenant] == min(running[rival.tenant] for rival in rivals)
            assert len(room.running()) == room.turns.running == min(slots, len(room.running()) + room.turns.waiting)
            assert len(room.waiting()) == room.turns.waiting


@given(steps=STEPS, slots=st.integers(1, 3))
async def test_a_tenant_with_nothing_running_is_overtaken_once_at_most_by_each_other(
    steps: list[tuple[str, str, int]], slots: int
) -> None:
    async with hall(slots=slots) as room:
        overtaken = {tenant: Counter[str]() for tenant in "abcd"}
        for step in steps:
            known = len(room.begun)
            act(room, step)
            await settled()
            waiting = {caller.tenant for caller in room.waiting()} - {caller.tenant for caller in room.running()}
            for tenant, others in overtaken.items():
                others.update(caller.tenant for caller in room.begun[known:])
                if tenant not in waiting:
                    others.clear()
                assert max(others.values(), default=0) <= 1


@given(
    steps=STEPS,
    pauses=st.lists(st.integers(0, 3), max_size=60),
    slots=st.integers(1, 3),
    depth=st.integers(0, 8),
    per_tenant=st.integers(0, 4),
)
async def test_however_events_fall_together_no_slot_is_lost_or_given_twice(
    steps: list[tuple[str, str, int]], pauses: list[int], slots: int, depth: int, per_tenant: int
) -> None:
    async with hall(slots=slots, depth=depth, per_tenant=per_tenant) as room:
        for number, step in enumerate(steps):
            act(room, step)
            for _ in range(pauses[number] if number < len(pauses) else 0):
                await asyncio.sleep(0)
            assert len(room.running()) <= slots
            assert room.turns.running <= slots
            assert room.turns.waiting <= depth
        await settled()
        assert room.turns.running == len(room.running()) == min(slots, len(room.running()) + room.turns.waiting)
        await room.run_out()
        ended = [caller.task for caller in room.callers]
        assert all(task.done() for task in ended)
        assert {type(task.exception()) for task in ended if not task.cancelled()} <= {type(None), QueueFull}
        # Every slot is there to be taken again.
        async with contextlib.AsyncExitStack() as held:
            for _ in range(slots):
                await asyncio.wait_for(held.enter_async_context(room.turns.turn("z")), 5)


async def test_a_user_does_not_wait_for_all_that_another_user_of_the_tenant_has_ordered() -> None:
    turns, begun = Turns(slots=1, depth=64, per_tenant=64), list[str]()
    ends = asyncio.Event()

    async def hold(user: str) -> None:
        async with turns.turn("t", user):
            begun.append(user)
            await ends.wait()

    holding = [asyncio.create_task(hold("ada")) for _ in range(5)]
    await asyncio.sleep(0)
    holding.append(asyncio.create_task(hold("bo")))
    await asyncio.sleep(0)
    assert begun == ["ada"]
    ends.set()
    await asyncio.wait_for(asyncio.gather(*holding), 5)
    assert begun == ["ada", "ada", "bo", "ada", "ada", "ada"]
