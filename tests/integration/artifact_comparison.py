"""What a store has of artifacts, held against the model of them: events, contents, lists and refusals.

What is done to both, and in which order, is the rules' that build on this.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, ClassVar, TypeVar

import pytest
from anyio.from_thread import BlockingPortal
from artifact_model import CONFLICT, Form, Kept, Merge, merge, said, spelled, understood
from artifact_verbs import Refused, Verbs
from doors import Door
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from handiwork.shapes import Shape

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where the machine plays: an event loop, a store with a clock, and a door to each of its sessions."""

    portal: BlockingPortal
    door: Door
    verbs: Callable[[str], Verbs]
    numbers: "count[int]" = field(default_factory=count)


class Comparison(RuleBasedStateMachine):
    """A new session on the stage, and the model of it."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.verbs = self.stage.verbs(f"s{next(self.stage.numbers)}")
        self.all: list[Kept] = []
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.touched: Kept | None = None

    @invariant()
    def what_was_touched_is_as_it_should_be(self) -> None:
        if self.touched is not None:
            self.compare_whole(self.touched)
            self.touched = None

    def teardown(self) -> None:
        for kept in self.all:
            self.compare_whole(kept)
        events = self.ask(self.verbs.events(last=len(self.told)))
        assert [event["seq"] for event in events] == list(range(1, len(self.told) + 1))
        for event, (type_, id, facts) in zip(events, self.told, strict=True):
            assert (event["type"], event["artifactId"]) == (type_, id)
            assert {name: event.get(name) for name in facts} == facts

    @property
    def now(self) -> datetime:
        return self.stage.door.clock.now

    @property
    def live(self) -> list[Kept]:
        return [kept for kept in reversed(self.all) if not kept.is_over(self.now)]

    @staticmethod
    def name_of(kept: Kept) -> str:
        return kept.handle.partition("_")[0]

    @staticmethod
    def base(data: st.DataObject, kept: Kept) -> int | None:
        return data.draw(st.none() | st.integers(1, kept.head))

    def ask(self, asked: Awaitable[Result]) -> Result:
        async def answer() -> Result:
            return await asked

        return self.stage.portal.call(answer)

    def asked_of(self, kept: Kept, asked: Awaitable[Result]) -> Result | None:
        """Ask, or see that what is over is refused as such."""
        if not kept.is_over(self.now):
            return self.ask(asked)
        with pytest.raises(Refused) as refused:
            self.ask(asked)
        assert refused.value.code == ("artifact_not_found" if kept.is_forgotten else "expired")
        return None

    def refused(self, code: str, kept: Kept, asked: Awaitable[object]) -> None:
        if kept.is_over(self.now):
            self.asked_of(kept, asked)
            return
        with pytest.raises(Refused) as refused:
            self.ask(asked)
        assert refused.value.code == code

    def revise(
        self, kept: Kept, change: Mapping[str, Any], *, base: int | None, data: st.DataObject, after: Form = None
    ) -> None:
        """Change an artifact, and see that it comes to what the model makes of it."""
        if "content" in change:
            after, change = change["content"], {"content": said(kept.type, change["content"])}
        reason = data.draw(st.none() | st.just("because"))
        asked = self.verbs.revise(kept.id, change, base=base, reason=reason)
        wanted = Merge(after)
        if base not in (None, kept.head):
            if kept.kind == "bytes":
                self.refused("invalid_content", kept, asked)
                return
            wanted = merge(kept.kind, kept.versions[base - 1][0], after, kept.form)
        if wanted == CONFLICT:
            self.refused("version_conflict", kept, asked)
            return
        made = self.merged(kept, asked) if wanted.is_contested else self.asked_of(kept, asked)
        if made is None:
            return
        number = made["version"]["number"]
        if base in (None, kept.head) or kept.kind == "lines":
            self.follow(kept, wanted.form, spelled(kept.type, wanted.form))
        else:
            # How a merge orders what is new is its own affair.
            content = self.ask(self.verbs.read(kept.id, number))
            found = understood(kept.type, content)
            assert not wanted.is_known or found == wanted.form
            self.follow(kept, found, content)
        self.shown(made, kept)

    def merged(self, kept: Kept, asked: Awaitable[Result]) -> Result | None:
        """Ask for a merge that may be refused, and for nothing else."""
        try:
            return self.asked_of(kept, asked)
        except Refused as refused:
            if refused.code != "version_conflict":
                raise
            return None

    def follow(self, kept: Kept, form: Form, data: bytes) -> None:
        """Make the next version in the model, unless it is the same."""
        if data != kept.versions[-1][1]:
            self.add(kept, form, data)

    def add(self, kept: Kept, form: Form, data: bytes) -> None:
        kept.versions.append((form, data))
        its_type = "file" if kept.type == "binary" else kept.type
        self.tell("artifact-revised", kept, artifactType=its_type, version=kept.head)

    def mark(self, kept: Kept, made: Shape, **marks: Any) -> None:
        changed = sorted(name for name, value in marks.items() if getattr(kept, name) != value)
        for name, value in marks.items():
            setattr(kept, name, value)
        if changed:
            told = {} if kept.state is None else {"state": kept.state}
            self.tell("artifact-state-changed", kept, changed=",".join(changed), **told)
        self.shown(made, kept)

    def tell(self, type_: str, kept: Kept, **facts: Any) -> None:
        self.told.append((type_, kept.id, facts))

    def shown(self, made: Shape, kept: Kept) -> None:
        """The artifact on the wire is what the model has of it."""
        content = kept.versions[-1][1]
        assert made["id"] == kept.id
        assert (made["title"], made["state"], made["held"]) == (kept.title, kept.state, kept.held)
        assert (made["labels"], made["facts"]) == (kept.labels, kept.facts)
        version = made["version"]
        assert (version["number"], version["size"]) == (kept.head, len(content))
        assert version["sha256"] == hashlib.sha256(content).hexdigest()

    def compare_whole(self, kept: Kept) -> None:
        made = self.asked_of(kept, self.verbs.get(kept.id))
        if made is None:
            assert self.asked_of(kept, self.verbs.read(kept.id)) is None
            return
        self.shown(made, kept)
        listed = self.ask(self.verbs.versions(kept.id, limit=2))
        assert [each["number"] for each in listed] == list(range(kept.head, 0, -1))
        hashes = [hashlib.sha256(data).hexdigest() for _form, data in reversed(kept.versions)]
        assert [each["sha256"] for each in listed] == hashes
        assert self.ask(self.verbs.read(kept.id)) == kept.versions[-1][1]
