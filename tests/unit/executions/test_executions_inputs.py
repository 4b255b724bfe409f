from pathlib import Path

import pytest

from handiwork.errors import ArtifactNotFound, InputNotFound, InvalidName
from handiwork.executions.inputs import MOST_INPUTS, InputReference, Inputs
from handiwork.ids import new_artifact_id
from handiwork.model import Artifact, Scope
from handiwork.types.file import file_type
from handiwork.versions.content import Bytes
from handiwork.versions.creation import Creation
from handiwork.versions.drafts import Draft
from memory_store import NOON, MemoryBlobs, MemoryRecords

SCOPE = Scope(session="s")
OTHER = Scope(session="other")


class Finding:
    """Inputs on a store in memory with one artifact, `a.csv`."""

    def __init__(self) -> None:
        self.records, self.blobs = MemoryRecords(), MemoryBlobs()
        self.inputs = Inputs(records=self.records, blobs=self.blobs)

    async def store(self, scope: Scope = SCOPE) -> Artifact:
        creation = Creation(
            records=self.records,
            blobs=self.blobs,
            clock=lambda: NOON,
            new_id=new_artifact_id,
            retention=None,
            notes=None,
        )
        (made,) = await creation.file(scope, [Draft(type=file_type(), name="a.csv", content=Bytes(b"stored"))])
        return made

    async def contents(self, *references: InputReference) -> dict[str, bytes]:
        found = await self.inputs.find(SCOPE, references)
        return {each.name: b"".join([chunk async for chunk in each.chunks()]) for each, _origin in found}


async def test_paths_and_artifacts_become_inputs_with_their_content(tmp_path: Path) -> None:
    finding = Finding()
    stored = await finding.store()
    (tmp_path / "b.csv").write_bytes(b"from disk")
    found = await finding.contents(stored.handle, tmp_path / "b.csv")
    assert found == {"a.csv": b"stored", "b.csv": b"from disk"}


@pytest.mark.parametrize("by", ["id", "handle", "itself"])
async def test_an_artifact_is_found_by_each_of_its_names(by: str) -> None:
    finding = Finding()
    stored = await finding.store()
    reference = {"id": stored.id, "handle": stored.handle, "itself": stored}[by]
    ((given, origin),) = await finding.inputs.find(SCOPE, [reference])
    assert (given.name, origin) == ("a.csv", f"{stored.id}@1")


async def test_the_origin_of_a_file_is_its_name_and_not_its_folder(tmp_path: Path) -> None:
    (tmp_path / "b.csv").touch()
    ((_given, origin),) = await Finding().inputs.find(SCOPE, [tmp_path / "b.csv"])
    assert origin == "file:b.csv"


@pytest.mark.parametrize("reference", ["a_0000", "art_nothing"])
async def test_a_name_of_no_artifact_is_not_found(reference: str) -> None:
    with pytest.raises(ArtifactNotFound):
        await Finding().inputs.find(SCOPE, [reference])


@pytest.mark.parametrize("by", ["id", "handle", "itself"])
async def test_an_artifact_of_another_session_is_not_there(by: str) -> None:
    finding = Finding()
    stored = await finding.store(OTHER)
    reference = {"id": stored.id, "handle": stored.handle, "itself": stored}[by]
    with pytest.raises(ArtifactNotFound):
        await finding.inputs.find(SCOPE, [reference])


@pytest.mark.parametrize("text", ["{path}", "b.csv", "../b.csv", "./b", "a b", "", "x" * 65, "a\n", "~", "é"])
async def test_text_that_can_name_no_artifact_is_refused_without_a_look_at_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refusals: list[str] = []
    for is_there in (False, True):
        if is_there:
            (tmp_path / "b.csv").touch()
        with pytest.raises(InputNotFound, match="id or handle") as refused:
            await Finding().inputs.find(SCOPE, [text.format(path=tmp_path / "b.csv")])
        refusals.append(str(refused.value))
    assert refusals[0] == refusals[1]


async def test_a_file_that_has_the_name_of_no_artifact_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").touch()
    with pytest.raises(ArtifactNotFound):
        await Finding().inputs.find(SCOPE, ["data"])
    assert await Finding().contents(Path("data")) == {"data": b""}


@pytest.mark.parametrize("place", ["missing", "."])
async def test_a_path_without_a_file_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputNotFound):
        await Finding().inputs.find(SCOPE, [tmp_path / place])


async def test_more_inputs_than_a_run_may_have_are_refused_with_the_number(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match=str(MOST_INPUTS)):
        await Finding().inputs.find(SCOPE, [tmp_path / "a"] * (MOST_INPUTS + 1))


async def test_two_inputs_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(InvalidName, match=r"a\.csv"):
        await Finding().inputs.find(SCOPE, [tmp_path / "a.csv"] * 2)


async def test_one_input_without_brackets_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="brackets"):
        await Finding().inputs.find(SCOPE, "a_0000")
