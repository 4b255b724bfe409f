"""Artifacts and versions against a plain model of them, step by step, in Python and over HTTP alike.

Whatever order things are done in: contents, numbers, marks, expiry, lists and events are what the model says.
"""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from artifact_comparison import Comparison, Stage
from artifact_model import (
    FORMS,
    KINDS,
    LINES,
    STATES,
    SUFFIXES,
    VALUES,
    Kept,
    line_of,
    merge_patches,
    note,
    overlaid,
    said,
    spelled,
)
from artifact_verbs import InPython, OverHttp, Verbs
from doors import open_server
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from handiwork.retention import REMEMBERED
from handiwork.server.app import guarded

STEPS = 30
WORDS = ("amber", "violet", "crimson")
NEVER = datetime.max.replace(tzinfo=UTC)

types = st.sampled_from(sorted(KINDS))
hours = st.sampled_from([1.0, 30.0, 2000.0])


class ArtifactMachine(Comparison):
    """Does to the artifacts of a new session what it does to the model."""

    @initialize(type_=types, data=st.data())
    def begin(self, type_: str, data: st.DataObject) -> None:
        self.create(type_=type_, data=data, word=WORDS[0], hours=2000.0)

    @rule(type_=types, data=st.data(), word=st.sampled_from(WORDS), hours=hours)
    def create(self, type_: str, data: st.DataObject, word: str, hours: float) -> None:
        form = data.draw(FORMS[KINDS[type_]])
        title = f"{word.capitalize()} {len(self.all)}"
        name = f"{word}.{SUFFIXES.get(type_, type_)}"
        its_type = "file" if type_ == "binary" else type_
        # Which is newer is told by the time.
        self.stage.door.clock.move(seconds=1)
        made = self.ask(self.verbs.create(its_type, content=said(type_, form), name=name, title=title, hours=hours))
        kept = Kept(
            id=made["id"],
            handle=made["handle"],
            type=type_,
            title=title,
            versions=[(form, spelled(type_, form))],
            expires_at=self.now + timedelta(hours=hours),
            state="draft" if type_ == "note" else None,
        )
        self.all.append(kept)
        self.tell("artifact-created", kept, artifactType=its_type, version=1)
        self.shown(made, kept)

    @rule(data=st.data())
    def replace_content(self, data: st.DataObject) -> None:
        kept = self.any_of(data)
        self.revise(kept, {"content": data.draw(FORMS[kept.kind])}, base=self.base(data, kept), data=data)

    @rule(data=st.data(), word=st.sampled_from(VALUES))
    def edit_a_line(self, data: st.DataObject, word: str) -> None:
        kept = self.any_of(data, "lines")
        base = self.base(data, kept)
        before = kept.versions[(base or kept.head) - 1][0]
        number = data.draw(st.integers(0, LINES - 1))
        edit = {"find": line_of(kept.type, number, before[number]), "replace": line_of(kept.type, number, word)}
        after = (*before[:number], word, *before[number + 1 :])
        self.revise(kept, {"patch": [edit]}, base=base, data=data, after=after)

    @rule(data=st.data())
    def miss_a_line(self, data: st.DataObject) -> None:
        kept = self.any_of(data, "lines")
        edits = [{"find": line_of(kept.type, 0, kept.form[0]), "replace": "x"}, {"find": "nowhere", "replace": "y"}]
        self.refused("edit_missed", kept, self.verbs.revise(kept.id, {"patch": edits}))

    @rule(data=st.data(), patch=merge_patches)
    def overlay(self, data: st.DataObject, patch: dict[str, Any]) -> None:
        kept = self.any_of(data, "json")
        base = self.base(data, kept)
        after = overlaid(kept.versions[(base or kept.head) - 1][0], patch)
        self.revise(kept, {"patch": patch}, base=base, data=data, after=after)

    @rule(data=st.data(), value=st.none() | st.integers(0, 3))
    def operate(self, data: st.DataObject, value: int | None) -> None:
        kept = self.any_of(data, "json")
        base = self.base(data, kept)
        before = kept.versions[(base or kept.head) - 1][0]
        if isinstance(before, dict) and "p" in before:
            patch = [{"op": "remove", "path": "/p"}, {"op": "add", "path": "/q", "value": value}]
            after = {name: each for name, each in before.items() if name != "p"} | {"q": value}
        else:
            patch, after = [{"op": "add", "path": "", "value": {"p": value}}], {"p": value}
        self.revise(kept, {"patch": patch}, base=base, data=data, after=after)

    @rule(data=st.data(), word=st.sampled_from(WORDS))
    def rename(self, data: st.DataObject, word: str) -> None:
        kept = self.any_of(data)
        title = f"{word.capitalize()} {len(self.all)}"
        change = {"content": said(kept.type, kept.form), "title": title}
        made = self.asked_of(kept, self.verbs.revise(kept.id, change))
        if made is not None:
            if title != kept.title:
                self.add(kept, *kept.versions[-1])
            kept.title = title
            self.shown(made, kept)

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        kept = self.any_of(data)
        number = data.draw(st.integers(1, kept.head))
        made = self.asked_of(kept, self.verbs.restore(kept.id, number))
        if made is not None:
            self.follow(kept, *kept.versions[number - 1])
            self.shown(made, kept)

    @rule(data=st.data(), labels=st.lists(st.sampled_from(WORDS), unique=True, max_size=2))
    def label(self, data: st.DataObject, labels: list[str]) -> None:
        kept = self.any_of(data)
        made = self.asked_of(kept, self.verbs.label(kept.id, labels))
        if made is not None:
            self.mark(kept, made, labels=labels)

    @rule(data=st.data(), state=st.none() | st.sampled_from(list(STATES)), facts=st.none() | merge_patches)
    def step(self, data: st.DataObject, state: str | None, facts: dict[str, Any] | None) -> None:
        kept = self.any_of(data)
        steps = self.verbs.step(kept.id, state=state, facts=facts)
        if state not in (None, kept.state, *STATES.get(kept.state or "", ())):
            self.refused("illegal_transition", kept, steps)
            return
        made = self.asked_of(kept, steps)
        if made is not None:
            noted = kept.facts if facts is None else {n: v for n, v in (kept.facts | facts).items() if v is not None}
            self.mark(kept, made, facts=noted, state=state or kept.state)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        kept = self.any_of(data)
        if kept.held:
            self.refused("artifact_held", kept, self.verbs.remove(kept.id))
        elif kept.is_over(self.now):
            self.refused("expired", kept, self.verbs.remove(kept.id))
        else:
            self.ask(self.verbs.remove(kept.id))
            kept.purged_at = self.now
            self.tell("artifact-expired", kept, reason="removed")

    @rule(data=st.data(), held=st.booleans())
    def hold(self, data: st.DataObject, held: bool) -> None:
        kept = self.any_of(data)
        made = self.asked_of(kept, self.verbs.hold(kept.id, held=held))
        if made is not None:
            kept.held = held
            assert made["held"] == held

    @rule(passing=st.sampled_from([0.5, 0.5, 25.0, 400.0]))
    def wait(self, passing: float) -> None:
        self.stage.door.clock.move(hours=passing)

    @precondition(lambda self: any(kept.is_over(self.now) for kept in self.all))
    @rule()
    def clean(self) -> None:
        self.ask(self.stage.door.desk.engine.clean())
        over = [kept for kept in self.all if kept.is_over(self.now) and kept.purged_at is None]
        for kept in sorted(over, key=lambda kept: kept.expires_at or NEVER):
            kept.purged_at = self.now
            self.tell("artifact-expired", kept, reason="retention")
        for kept in self.all:
            kept.is_forgotten |= kept.purged_at is not None and kept.purged_at < self.now - REMEMBERED

    # What is asked, and must be as the model has it.

    @rule(limit=st.integers(1, 4), type_=st.none() | types, state=st.none() | st.sampled_from(list(STATES)))
    def list_all(self, limit: int, type_: str | None, state: str | None) -> None:
        its_type = "file" if type_ == "binary" else type_
        search = {name: told for name, told in (("type", its_type), ("state", state)) if told is not None}
        found, seq = self.ask(self.verbs.list(limit=limit, **search))
        of_type = [k for k in self.live if type_ is None or ("file" if k.type == "binary" else k.type) == its_type]
        assert [each["id"] for each in found] == [k.id for k in of_type if state in (None, k.state)]
        assert seq == len(self.told)

    @rule(word=st.sampled_from(WORDS), limit=st.integers(1, 4))
    def search(self, word: str, limit: int) -> None:
        found, _seq = self.ask(self.verbs.list(limit=limit, query=word))
        wanted = [k.id for k in self.live if word in k.title.lower() or word in k.handle or word in self.name_of(k)]
        assert [each["id"] for each in found] == wanted

    @rule(data=st.data())
    def read_an_old_version(self, data: st.DataObject) -> None:
        kept = self.any_of(data)
        number = data.draw(st.integers(1, kept.head + 1))
        if number > kept.head:
            self.refused("version_not_found", kept, self.verbs.read(kept.id, number))
            return
        content = self.asked_of(kept, self.verbs.read(kept.id, number))
        assert content in (None, kept.versions[number - 1][1])

    @rule(data=st.data())
    def compare(self, data: st.DataObject) -> None:
        kept = self.any_of(data)
        start, end = data.draw(st.integers(1, kept.head)), data.draw(st.integers(1, kept.head))
        asked = self.verbs.is_same(kept.id, start, None if end == kept.head else end)
        if kept.kind == "bytes":
            self.refused("invalid_content", kept, asked)
            return
        is_same = self.asked_of(kept, asked)
        assert is_same in (None, kept.versions[start - 1][1] == kept.versions[end - 1][1])

    def any_of(self, data: st.DataObject, kind: str | None = None) -> Kept:
        """One of the artifacts; when there is none of that kind it is made."""
        if not any(kind in (None, each.kind) for each in self.all):
            self.create(type_="json" if kind == "json" else "markdown", data=data, word=WORDS[0], hours=2000.0)
        self.touched = data.draw(st.sampled_from([each for each in self.all if kind in (None, each.kind)]))
        return self.touched


@pytest.fixture(scope="module", params=["python", "http"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Stage]:
    data: Path = tmp_path_factory.mktemp("machine")
    artifacts = {"storage": {"cleanup_enabled": False}, "event_retention": "36500d"}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_server(data, types=[note], artifacts=artifacts)) as door,
    ):
        app = guarded(door.desk)

        def verbs(session: str) -> Verbs:
            if request.param == "http":
                return OverHttp(door, session, app=app)
            return InPython(door.desk.engine.session(session))

        yield Stage(portal=portal, door=door, verbs=verbs)


@pytest.mark.timeout(900)
def test_artifacts_and_versions_are_what_a_plain_model_of_them_says(stage: Stage, pytestconfig: pytest.Config) -> None:
    class MachineOnStage(ArtifactMachine):
        pass

    MachineOnStage.stage = stage
    examples: int = pytestconfig.option.machine_examples
    # Machines of many steps are slow by nature, and what is drawn for them is large.
    unmoved = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
    run_state_machine_as_test(
        MachineOnStage,
        settings=settings(
            max_examples=examples, stateful_step_count=STEPS, deadline=None, suppress_health_check=unmoved
        ),
    )
