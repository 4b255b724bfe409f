"""Typed artifacts that are made, revised, merged, compared and taken back, on a real store."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import Field

import handiwork
from handiwork.errors import (
    ArtifactExpired,
    ArtifactNotFound,
    BlobNotFound,
    ContentDamaged,
    ContentRefused,
    ContentTooLarge,
    EditMissed,
    IllegalTransition,
    InvalidContent,
    InvalidName,
    PatchRefused,
    ProducingDisabled,
    ScopeErased,
    UnsupportedFormat,
    VersionConflict,
    VersionNotFound,
)
from handiwork.events import Event
from handiwork.model import Artifact, Reach
from handiwork.session import Session
from handiwork.settings import Artifacts, Settings

TEXT = "# Plan\n\nfirst\nsecond\nthird\nfourth\nfifth\n"


@pytest.fixture
async def session(tmp_path: Path) -> AsyncGenerator[Session]:
    async with handiwork.open(tmp_path / "store", settings=Settings()) as engine:
        yield engine.session("s")


async def text(session: Session, reference: str, version: int | None = None) -> str:
    return (await session.read(reference, version=version)).decode()


async def test_every_render_type_is_stored_as_what_it_is(session: Session) -> None:
    made = {
        "markdown": await session.create("markdown", title="Notes", content="# Hello\n"),
        "code": await session.create("code", title="Tool", content="print(1)\n", language="python"),
        "html-sandboxed": await session.create("html-sandboxed", title="Page", content="<script>1</script><p>a"),
        "json": await session.create("json", title="Facts", content={"b": 1, "a": [True, None]}),
        "csv": await session.create("csv", title="Sales", content='a,b\n1,"x\ny"\n'),
        "svg": await session.create("svg", title="Dot", content='<svg xmlns="http://www.w3.org/2000/svg"/>'),
    }
    suffixes = {
        "markdown": ".md",
        "code": ".py",
        "html-sandboxed": ".html",
        "json": ".json",
        "csv": ".csv",
        "svg": ".svg",
    }
    for type_, artifact in made.items():
        assert artifact.type == type_
        assert artifact.name.endswith(suffixes[type_]), (type_, artifact.name)
    assert made["code"].version.language == "python"
    assert json.loads(await session.read(made["json"].id)) == {"b": 1, "a": [True, None]}


@pytest.mark.parametrize(
    ("type_", "content"),
    [
        ("json", '{"a": NaN}'),
        ("json", '{"a": 1, "a": 2}'),
        ("json", "[" * 100_000),
        ("csv", "a,b\n1,2,3\n"),
        ("svg", "<svg><g></svg>"),
        ("svg", '<!DOCTYPE svg [<!ENTITY a "b">]><svg/>'),
        ("image", "no image at all, and no reference"),
    ],
)
async def test_what_is_not_what_its_type_says_is_refused_and_nothing_stored(
    session: Session, type_: str, content: str
) -> None:
    with pytest.raises(ContentRefused) as refused:
        await session.create(type_, title="x", content=content)
    assert refused.value.expected
    assert (await session.list()).items == ()


async def test_content_over_the_cap_of_its_type_is_refused(session: Session) -> None:
    with pytest.raises((ContentTooLarge, ContentRefused)) as refused:
        await session.create("markdown", title="x", content="é" * 600_000)
    assert "262,144" in str(refused.value)


async def test_a_revision_makes_a_version_and_carries_title_and_language_forward(session: Session) -> None:
    made = await session.create("code", title="Tool", content="a = 1\n", language="python")
    revised = await session.revise(made.id, patch=[{"find": "1", "replace": "2"}], reason="two is better")
    assert (revised.version.number, revised.title, revised.version.language) == (2, "Tool", "python")
    assert revised.version.provenance.reason == "two is better"
    assert [await text(session, made.id, number) for number in (1, 2)] == ["a = 1\n", "a = 2\n"]
    events = [event.type for event in await recorded(session, 2)]
    assert events == ["artifact-created", "artifact-revised"]


async def recorded(session: Session, count: int) -> list[Event]:
    found: list[Event] = []
    async for event in session.watch():
        found.append(event)
        if len(found) == count:
            break
    return found


async def test_identical_content_makes_no_version(session: Session) -> None:
    made = await session.create("markdown", title="x", content=TEXT)
    again = await session.revise(made.id, content=TEXT)
    assert again.version.number == 1
    assert len((await session.versions(made.id)).items) == 1


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        ([{"find": "nowhere", "replace": "x"}], EditMissed),
        ([{"find": "i", "replace": "x"}], EditMissed),
        ([{"find": "first", "replace": "1"}, {"find": "nowhere", "replace": "x"}], EditMissed),
        ([{"op": "add", "path": "/a", "value": 1}], PatchRefused),
        ({"a": 1}, PatchRefused),
        ([], PatchRefused),
        ("text", PatchRefused),
    ],
)
async def test_a_patch_that_does_not_fit_changes_nothing(
    session: Session, patch: object, error: type[Exception]
) -> None:
    made = await session.create("markdown", title="x", content=TEXT)
    with pytest.raises(error):
        await session.revise(made.id, patch=patch)
    assert (await session.get(made.id)).version.number == 1
    assert await text(session, made.id) == TEXT


async def test_structured_content_takes_all_three_dialects(session: Session) -> None:
    made = await session.create("json", title="x", content={"a": 1, "list": [1, 2]})
    await session.revise(made.id, patch=[{"op": "add", "path": "/list/-", "value": 3}])
    await session.revise(made.id, patch={"a": None, "b": {"c": 1}})
    await session.revise(made.id, patch=[{"find": '"c": 1', "replace": '"c": 2'}])
    assert json.loads(await session.read(made.id)) == {"list": [1, 2, 3], "b": {"c": 2}}
    assert (await session.get(made.id)).version.number == 4
    with pytest.raises(ContentRefused):
        await session.revise(made.id, patch=[{"find": '"c": 2', "replace": '"c": }'}])


LONG = "12345678901234567890.123456789"


@pytest.mark.parametrize(
    "patch",
    [{"b": 2}, [{"op": "replace", "path": "/b", "value": 2}], [{"find": '"b": 1', "replace": '"b": 2'}]],
    ids=["merge patch", "JSON Patch", "edit"],
)
async def test_numbers_that_a_patch_does_not_touch_stay_as_they_were_written(session: Session, patch: object) -> None:
    content = f'{{\n  "a": {LONG},\n  "b": 1,\n  "c": [1.10, 1E5, -0, {{"d": -0.000}}]\n}}'
    made = await session.create("json", title="Facts", content=content)
    await session.revise(made.id, patch=patch)
    told = await text(session, made.id)
    assert "".join(told.split()) == "".join(content.replace('"b": 1', '"b": 2').split())


async def test_numbers_stay_as_they_were_written_where_two_changes_are_merged(session: Session) -> None:
    made = await session.create("json", title="Facts", content=f'{{"a": {LONG}, "b": 1, "c": 1, "d": 1.50}}')
    await session.revise(made.id, patch={"b": 2})
    await session.revise(made.id, patch={"c": 2}, base_version=1)
    # A float says the same of both, and they are not the same content.
    await session.revise(made.id, content=f'{{"a": {LONG}1, "b": 1, "c": 1, "d": 1.50}}', base_version=1)
    told = (await text(session, made.id)).split()
    assert "".join(told) == f'{{"a":{LONG}1,"b":2,"c":2,"d":1.50}}'


async def test_a_zero_below_zero_is_another_content_than_zero_and_merged_as_it_was_written(session: Session) -> None:
    made = await session.create("json", title="Facts", content='{"a": -0, "b": 1, "c": 0}')
    await session.revise(made.id, patch={"b": 2})
    await session.revise(made.id, content='{"a": -0, "b": 1, "c": -0}', base_version=1)
    assert "".join((await text(session, made.id)).split()) == '{"a":-0,"b":2,"c":-0}'


async def test_both_or_neither_of_content_and_patch_are_refused(session: Session) -> None:
    made = await session.create("markdown", title="x", content=TEXT)
    with pytest.raises(InvalidContent):
        await session.revise(made.id)
    with pytest.raises(InvalidContent):
        await session.revise(made.id, content="a", patch={"a": 1})


async def test_changes_of_other_places_are_merged(session: Session) -> None:
    made = await session.create("markdown", title="x", content=TEXT)
    await session.revise(made.id, content=TEXT.replace("first", "FIRST"))
    merged = await session.revise(made.id, content=TEXT.replace("fifth", "FIFTH"), base_version=1)
    assert merged.version.number == 3
    assert await text(session, made.id) == TEXT.replace("first", "FIRST").replace("fifth", "FIFTH")


async def test_changes_of_the_same_place_are_a_conflict_that_shows_both_sides(session: Session) -> None:
    made = await session.create("json", title="x", content={"a": 1, "b": 1})
    await session.revise(made.id, patch={"a": 2})
    with pytest.raises(VersionConflict) as conflict:
        await session.revise(made.id, patch={"a": 3, "b": 2}, base_version=1)
    (one,) = conflict.value.conflicts
    assert (one["base"], one["ours"], one["theirs"]) == (1, 3, 2)
    assert (conflict.value.base, conflict.value.head) == (1, 2)
    assert (await session.get(made.id)).version.number == 2


async def test_a_version_that_is_not_there_is_no_base(session: Session) -> None:
    made = await session.create("markdown", title="x", content=TEXT)
    with pytest.raises(VersionNotFound):
        await session.revise(made.id, content="new", base_version=7)


async def test_fifty_revise_at_once_and_no_edit_is_lost(session: Session) -> None:
    made = await session.create("json", title="x", content={})
    await asyncio.gather(*(session.revise(made.id, patch={f"k{n}": n}) for n in range(50)))
    assert json.loads(await session.read(made.id)) == {f"k{n}": n for n in range(50)}
    assert (await session.get(made.id)).version.number == 51


async def test_an_earlier_version_becomes_the_newest_again(session: Session) -> None:
    made = await session.create("markdown", title="x", content=TEXT)
    await session.revise(made.id, content="other")
    restored = await session.restore(made.id, 1)
    assert restored.version.number == 3
    assert await text(session, made.id) == TEXT
    assert (await session.restore(made.id, 1)).version.number == 3


async def test_what_differs_is_told_for_text_and_for_structured_content(session: Session) -> None:
    notes = await session.create("markdown", title="x", content=TEXT)
    await session.revise(notes.id, patch=[{"find": "third", "replace": "3rd"}])
    difference = await session.diff(notes.id, 1)
    assert (difference.start, difference.end, difference.is_same) == (1, 2, False)
    assert "-third" in (difference.text or "")
    assert "+3rd" in (difference.text or "")
    facts = await session.create("json", title="x", content={"a": {"b": 1}})
    await session.revise(facts.id, patch={"a": {"b": 2}})
    changes = (await session.diff(facts.id, 1, 2)).changes
    assert changes is not None
    (change,) = changes
    assert (change["path"], change["was"], change["now"]) == ("$.a.b", 1, 2)
    assert (await session.diff(facts.id, 2, 2)).is_same


async def test_labels_and_facts_are_noted_and_told(session: Session) -> None:
    made = await session.create("markdown", title="x", content=TEXT)
    labelled = await session.label(made.id, "final", "q3", "final")
    assert labelled.labels == ("final", "q3")
    noted = await session.step(made.id, facts={"sent": "yes", "gone": 1})
    assert noted.facts == {"sent": "yes", "gone": 1}
    assert (await session.step(made.id, facts={"gone": None})).facts == {"sent": "yes"}
    with pytest.raises(IllegalTransition):
        await session.step(made.id, state="flying")
    with pytest.raises(InvalidContent):
        await session.label(made.id, "")
    types = [event.type for event in await recorded(session, 4)]
    assert types == ["artifact-created", *["artifact-state-changed"] * 3]


async def test_pages_of_versions_repeat_and_skip_nothing(session: Session) -> None:
    made = await session.create("json", title="x", content=0)
    for number in range(1, 12):
        await session.revise(made.id, content=number)
    seen, before = [], None
    while True:
        page = await session.versions(made.id, limit=5, before=before)
        seen += [version.number for version in page.items]
        before = page.next_before
        if before is None:
            break
    assert seen == list(range(12, 0, -1))


async def test_where_nothing_may_be_made_what_is_there_can_be_read(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path, settings=Settings()) as engine:
        made = await engine.session("s").create("markdown", title="x", content=TEXT)
    closed = Settings(artifacts=Artifacts(enabled=False))
    async with handiwork.open(tmp_path, settings=closed) as engine:
        session = engine.session("s")
        assert await text(session, made.id) == TEXT
        for attempt in (
            session.create("markdown", title="y", content="y"),
            session.revise(made.id, content="y"),
            session.restore(made.id, 1),
            session.run("print(1)"),
            session.start("print(1)"),
        ):
            with pytest.raises(ProducingDisabled):
                await attempt
        assert (await session.get(made.id)).version.number == 1


@pytest.mark.linux
async def test_formats_that_are_not_allowed_are_refused_and_the_rest_is_kept(tmp_path: Path) -> None:
    narrow = Settings.model_validate({"artifacts": {"allowed_formats": ["csv", "jpg"]}})
    async with handiwork.open(tmp_path, settings=narrow) as engine:
        session = engine.session("s")
        run = await session.run("open('a.csv', 'w').write('a,b\\n1,2\\n')\nopen('b.txt', 'w').write('x')")
        assert [artifact.name for artifact in run.artifacts] == ["a.csv"]
        (refused,) = run.outcome.refused
        assert (refused.name, refused.reason) == ("b.txt", "unsupported_format")
        assert "csv, jpeg" in (refused.hint or "")
        with pytest.raises(UnsupportedFormat, match="not delivered"):
            await session.create("file", content="x", name="x.txt")
        with pytest.raises(UnsupportedFormat):
            await session.create("markdown", title="x", content="x")
        # A reference is in no format of its own.
        referring = await session.create("image", content=run.artifacts[0].handle)
        assert (await session.revise(referring.id, content="chart_k3x9")).version.number == 2


class Dish(handiwork.ContentModel):
    plates_needed: int | None = None
    serve_with: dict[str, str] = Field(default_factory=dict[str, str])


@handiwork.artifact_type("recipe", label="Recipe", states=("draft", "cooked"), transitions={"draft": ("cooked",)})
class Recipe(handiwork.ContentModel):
    title: str
    cook_minutes: int = 10
    side_dishes: list[Dish] = Field(default_factory=list[Dish])


async def test_a_type_of_ones_own_is_checked_revised_and_stepped(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path, types=[Recipe], settings=Settings()) as engine:
        session = engine.session("s")
        soup = await session.create("recipe", title="Soup", content={"title": "Soup", "cook_minutes": 40})
        assert soup.state == "draft"
        assert json.loads(await session.read(soup.id)) == {"title": "Soup", "cookMinutes": 40, "sideDishes": []}
        for patch in (
            {"cook_minutes": 5, "side_dishes": [{"serve_with": {"soup_spoon": "a"}}]},
            [{"op": "test", "path": "/side_dishes/0/serve_with/soup_spoon", "value": "a"}],
            [{"op": "copy", "from": "/cook_minutes", "path": "/side_dishes/0/plates_needed"}],
            [{"op": "add", "path": "/sideDishes/-", "value": {"plates_needed": 2}}],
        ):
            await session.revise(soup.id, patch=patch)
        assert json.loads(await session.read(soup.id)) == {
            "title": "Soup",
            "cookMinutes": 5,
            "sideDishes": [{"serveWith": {"soup_spoon": "a"}, "platesNeeded": 5}, {"serveWith": {}, "platesNeeded": 2}],
        }
        with pytest.raises(ContentRefused):
            await session.revise(soup.id, patch={"cook_minutes": 6, "cookMinutes": 7})
        with pytest.raises(ContentRefused) as refused:
            await session.revise(soup.id, patch={"cookMinutes": "long"})
        assert "$.cookMinutes" in str(refused.value)
        assert (await session.step(soup.id, state="cooked")).state == "cooked"
        with pytest.raises(IllegalTransition, match="none"):
            await session.step(soup.id, state="draft")


async def test_many_who_restore_and_revise_at_once_all_get_their_version(session: Session) -> None:
    made = await session.create("json", title="x", content={})
    for number in range(2, 6):
        await session.revise(made.id, patch={f"k{number}": number})
    restored = [session.restore(made.id, 1 + n % 5) for n in range(50)]
    revised = [session.revise(made.id, patch={f"more{n}": n}) for n in range(50)]
    answers = await asyncio.gather(*(each for pair in zip(restored, revised, strict=True) for each in pair))
    head = (await session.get(made.id)).version.number
    assert {each.version.number for each in answers} <= set(range(1, head + 1))
    numbers = [each.number for each in (await session.versions(made.id, limit=1000)).items]
    assert numbers == list(range(head, 0, -1))


def bytes_in(folder: Path) -> list[Path]:
    root = folder / "artifacts"
    return [path for path in root.rglob("*") if path.is_file() and ".tmp" not in path.parts]


@pytest.mark.parametrize("ends", ["remove", "erase"])
@pytest.mark.parametrize("size", [10, 400_000])
async def test_nothing_stays_of_what_was_being_written_when_its_place_was_taken_away(
    tmp_path: Path, ends: str, size: int
) -> None:
    async with handiwork.open(tmp_path, settings=Settings()) as engine:
        session = engine.session("s")
        for looks in range(10):
            made = await session.create("file", content=b"x", name="a.txt")
            revising = [session.revise(made.id, content=str(n) * size) for n in range(4)]
            revisers = asyncio.gather(*revising, return_exceptions=True)
            # So that the end comes at another moment each time.
            for _ in range(looks):
                await session.list(limit=1)
            if ends == "remove":
                await session.remove(made.id)
            else:
                await engine.erase(Reach(tenant="default", user="local", session="s"))
            answers = await revisers
            told = (Artifact, ArtifactExpired, ArtifactNotFound, ScopeErased)
            assert [each for each in answers if not isinstance(each, told)] == []
        assert engine.creation.notes is not None
        await engine.creation.notes.settled()
        assert bytes_in(tmp_path) == []


async def test_what_was_removed_while_it_is_read_is_gone_and_not_damaged(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path, settings=Settings()) as engine:
        session = engine.session("s")
        made, other = [await session.create("markdown", title="x", content="a" * 100_000) for _ in range(2)]
        found, damaged = [await engine.find(session.scope, each.id) for each in (made, other)]
        await session.remove(made.id)
        await engine.blobs.delete(damaged.blob_key)
        for filed, error in ((found, ArtifactExpired), (damaged, ContentDamaged)):
            with pytest.raises(error):
                _ = [chunk async for chunk in engine.content(filed)]
        with pytest.raises(ArtifactExpired):
            await engine.select(found, "lines=1:2")
        with pytest.raises(BlobNotFound):
            await engine.select(damaged, "lines=1:2")


@pytest.mark.parametrize("title", ["half \ud800", "a\0b", "x" * 301])
async def test_a_title_that_cannot_be_kept_changes_nothing(session: Session, title: str) -> None:
    made = await session.create("markdown", title="x", content="a")
    with pytest.raises(InvalidName):
        await session.revise(made.id, content="b", title=title)
    with pytest.raises(InvalidName):
        await session.create("markdown", title=title, content="b")
    assert [each.version.number for each in (await session.list()).items] == [1]


@pytest.mark.parametrize("value", ["5", "hello", '{"a": 1}', ""])
async def test_a_text_as_the_whole_of_a_json_document_stays_a_text(session: Session, value: str) -> None:
    made = await session.create("json", title="Word", content=json.dumps("first"))
    await session.revise(made.id, patch=[{"op": "replace", "path": "", "value": value}])
    assert json.loads(await session.read(made.id)) == value
    merged = await session.create("json", title="Word", content=json.dumps("first"))
    await session.revise(merged.id, content=json.dumps(value))
    await session.revise(merged.id, content=json.dumps("first"), base_version=1)
    assert json.loads(await session.read(merged.id)) == value


async def test_a_file_of_this_machine_may_be_the_next_version(session: Session, tmp_path: Path) -> None:
    (tmp_path / "plan.md").write_text("# Two\n")
    made = await session.create("markdown", title="Plan", content="# One\n")
    await session.revise(made.id, content=tmp_path / "plan.md")
    assert await text(session, made.id) == "# Two\n"


async def test_fifty_who_note_facts_at_once_all_note_them(session: Session) -> None:
    made = await session.create("markdown", title="Plan", content="# One\n")
    await asyncio.gather(*(session.step(made.id, facts={f"k{i}": i}) for i in range(50)))
    assert (await session.get(made.id)).facts == {f"k{i}": i for i in range(50)}


async def test_an_artifact_of_a_type_that_is_known_no_more_can_be_looked_at(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path / "store", settings=Settings(), types=[Recipe]) as engine:
        made = await engine.session("s").create("recipe", title="Soup", content={"title": "Soup"})
        assert (await engine.revising.shape(made))["version"]["content"]["cookMinutes"] == 10
    async with handiwork.open(tmp_path / "store", settings=Settings()) as engine:
        found = await engine.session("s").get(made.id)
        assert found.title == "Soup"
        assert "content" not in (await engine.revising.shape(found))["version"]
        assert json.loads(await engine.session("s").read(made.id))["title"] == "Soup"
