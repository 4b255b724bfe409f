"""Google's Agent Development Kit over the store: what its artifact services promise, held by ours."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from google.adk.artifacts.base_artifact_service import BaseArtifactService
from google.adk.artifacts.in_memory_artifact_service import InMemoryArtifactService
from google.adk.errors.input_validation_error import InputValidationError
from google.genai import types
from sides import SIDES, Where, open_side

import handiwork
from handiwork.adapters.google_adk import ArtifactService

HERE: dict[str, Any] = {"app_name": "app", "user_id": "local", "session_id": "s1"}
TEXT = types.Part(text="hello")


def here(**other: str) -> dict[str, Any]:
    return {**HERE, **other}


@pytest.fixture(params=[*SIDES, "memory"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[BaseArtifactService]:
    """Ours, in this process and over HTTP, and the kit's own, which shows that the tests ask what the kit promises."""
    if request.param == "memory":
        yield InMemoryArtifactService()
        return
    where: Where = request.param
    async with open_side(where, tmp_path / "data") as side:
        yield ArtifactService(side.engine)


def reference(name: str, version: int = 0, *, user: str = "local", session: str | None = "s1") -> types.Part:
    middle = "" if session is None else f"/sessions/{session}"
    uri = f"artifact://apps/app/users/{user}{middle}/artifacts/{name}/versions/{version}"
    return types.Part(file_data=types.FileData(file_uri=uri, mime_type="text/plain"))


async def test_versions_count_from_0_also_of_the_same_content(service: BaseArtifactService) -> None:
    parts = [types.Part.from_bytes(data=data, mime_type="text/plain") for data in (b"a", b"b", b"b", b"")]
    numbers = [await service.save_artifact(**HERE, filename="notes/a.txt", artifact=part) for part in parts]
    assert numbers == await service.list_versions(**HERE, filename="notes/a.txt") == [0, 1, 2, 3]
    for number, part in enumerate(parts):
        assert await service.load_artifact(**HERE, filename="notes/a.txt", version=number) == part
    assert await service.load_artifact(**HERE, filename="notes/a.txt") == parts[-1]
    assert await service.load_artifact(**HERE, filename="notes/a.txt", version=4) is None
    assert await service.load_artifact(**HERE, filename="notes/a.txt", version=-1) is None


@pytest.mark.parametrize(
    "part",
    [
        types.Part(text="hello"),
        types.Part(text=""),
        types.Part.from_bytes(data=bytes(range(256)), mime_type="application/x-own"),
        types.Part(inline_data=types.Blob(data=b"x", mime_type="text/plain", display_name="An x")),
        types.Part(file_data=types.FileData(file_uri="gs://bucket/file.pdf", mime_type="application/pdf")),
    ],
)
async def test_a_part_comes_back_as_it_was_saved(service: BaseArtifactService, part: types.Part) -> None:
    await service.save_artifact(**HERE, filename="thing", artifact=part)
    assert await service.load_artifact(**HERE, filename="thing") == part


async def test_a_part_may_be_a_dictionary_in_either_spelling(service: BaseArtifactService) -> None:
    for spelled in ({"inlineData": {"data": "aGk=", "mimeType": "text/plain"}}, {"text": "hi"}):
        await service.save_artifact(**HERE, filename="d.txt", artifact=spelled)
    first = await service.load_artifact(**HERE, filename="d.txt", version=0)
    assert first == types.Part.from_bytes(data=b"hi", mime_type="text/plain")


async def test_what_is_the_users_is_seen_from_every_session(service: BaseArtifactService) -> None:
    await service.save_artifact(**HERE, filename="user:profile.txt", artifact=TEXT)
    await service.save_artifact(**HERE, filename="b/own.txt", artifact=TEXT)
    await service.save_artifact(**HERE, filename="b", artifact=TEXT)
    other: dict[str, Any] = {**HERE, "session_id": "s2"}
    assert await service.load_artifact(**other, filename="user:profile.txt") == TEXT
    assert await service.load_artifact(**other, filename="b") is None
    assert await service.list_artifact_keys(**HERE) == ["b", "b/own.txt", "user:profile.txt"]
    assert await service.list_artifact_keys(app_name="app", user_id="local") == ["user:profile.txt"]
    assert await service.list_artifact_keys(app_name="app2", user_id="local", session_id="s1") == []


async def test_what_was_deleted_begins_anew_and_takes_nothing_with_it(service: BaseArtifactService) -> None:
    for name in ("doc", "doc/nested", "doc"):
        await service.save_artifact(**HERE, filename=name, artifact=TEXT)
    await service.delete_artifact(**HERE, filename="doc")
    await service.delete_artifact(**HERE, filename="doc")
    assert await service.list_versions(**HERE, filename="doc") == []
    assert await service.load_artifact(**HERE, filename="doc/nested") == TEXT
    assert await service.save_artifact(**HERE, filename="doc", artifact=TEXT) == 0


async def test_each_version_tells_what_was_said_of_it(service: BaseArtifactService) -> None:
    for number in range(3):
        part = types.Part.from_bytes(data=b"x", mime_type="text/csv")
        await service.save_artifact(**HERE, filename="a.csv", artifact=part, custom_metadata={"n": number})
    versions = await service.list_artifact_versions(**HERE, filename="a.csv")
    assert [(each.version, each.custom_metadata, each.mime_type) for each in versions] == [
        (number, {"n": number}, "text/csv") for number in range(3)
    ]
    assert versions[1].canonical_uri.endswith("://apps/app/users/local/sessions/s1/artifacts/a.csv/versions/1")
    assert await service.get_artifact_version(**HERE, filename="a.csv", version=1) == versions[1]
    assert await service.get_artifact_version(**HERE, filename="a.csv") == versions[2]
    assert await service.get_artifact_version(**HERE, filename="a.csv", version=3) is None
    assert await service.get_artifact_version(**HERE, filename="none") is None


async def test_a_reference_leads_to_what_it_names_and_no_further_than_five_times(service: BaseArtifactService) -> None:
    await service.save_artifact(**HERE, filename="step0", artifact=TEXT)
    await service.save_artifact(**HERE, filename="user:mine", artifact=TEXT)
    for number in range(1, 7):
        await service.save_artifact(**HERE, filename=f"step{number}", artifact=reference(f"step{number - 1}"))
    await service.save_artifact(**HERE, filename="loop", artifact=reference("loop"))
    await service.save_artifact(**HERE, filename="there", artifact=reference("user:mine", session=None))
    assert await service.load_artifact(**HERE, filename="step5") == TEXT
    assert await service.load_artifact(**HERE, filename="there") == TEXT
    for name in ("step6", "loop"):
        with pytest.raises(InputValidationError, match="maximum recursion depth"):
            await service.load_artifact(**HERE, filename=name)
    version = await service.get_artifact_version(**HERE, filename="step1")
    assert version is not None
    assert version.mime_type is None


@pytest.mark.parametrize(
    "part", [reference("a", user="bo"), reference("a", session="s2"), reference("a", user="local/../bo"), types.Part()]
)
async def test_a_reference_beyond_the_callers_scope_is_refused(service: BaseArtifactService, part: types.Part) -> None:
    with pytest.raises(InputValidationError):
        await service.save_artifact(**HERE, filename="a", artifact=part)
    assert await service.list_artifact_keys(**HERE) == []


async def test_a_file_of_a_session_needs_a_session(service: BaseArtifactService) -> None:
    with pytest.raises(InputValidationError, match="Session ID must be provided"):
        await service.save_artifact(app_name="app", user_id="local", filename="a", artifact=TEXT)


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncGenerator[ArtifactService]:
    async with handiwork.open(tmp_path) as engine:
        yield ArtifactService(engine)


@pytest.mark.parametrize(
    "name", ["..", "../a", "a/../../b", "/a", "\\a", "C:a", "", " ", "a\0b", "a//b", "a/", "\ud800"]
)
async def test_a_name_that_leaves_its_place_is_refused(ours: ArtifactService, name: str) -> None:
    with pytest.raises(InputValidationError):
        await ours.save_artifact(**HERE, filename=name, artifact=TEXT)
    assert await ours.list_artifact_keys(**HERE) == []


@pytest.mark.parametrize("whose", ["app_name", "user_id", "session_id"])
async def test_a_scope_that_leaves_its_place_is_refused(ours: ArtifactService, whose: str) -> None:
    for name in ("..", "a/../b", "/a", "", "x" * 300):
        with pytest.raises(InputValidationError):
            await ours.save_artifact(**here(**{whose: name}), filename="a", artifact=TEXT)


async def test_scopes_that_look_alike_are_apart(ours: ArtifactService) -> None:
    scopes = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("a", "user"), ("a", ":user")]
    for app, session in scopes:
        where = here(app_name=app, user_id="ada", session_id=session)
        await ours.save_artifact(**where, filename="a", artifact=types.Part(text=f"{app} {session}"))
    await ours.save_artifact(app_name="a", user_id="ada", filename="user:a", artifact=TEXT)
    for app, session in scopes:
        where = here(app_name=app, user_id="ada", session_id=session)
        assert await ours.load_artifact(**where, filename="a") == types.Part(text=f"{app} {session}")


async def test_what_another_user_has_is_not_seen(ours: ArtifactService) -> None:
    await ours.save_artifact(**HERE, filename="a", artifact=TEXT)
    await ours.save_artifact(**HERE, filename="user:a", artifact=TEXT)
    assert await ours.list_artifact_keys(**here(user_id="bo")) == []
    assert await ours.load_artifact(**here(user_id="bo"), filename="user:a") is None


async def test_blanks_about_a_session_are_no_part_of_it(ours: ArtifactService) -> None:
    await ours.save_artifact(**here(session_id="s1\n"), filename="a", artifact=TEXT)
    await ours.save_artifact(**here(session_id=" s1"), filename="b", artifact=reference("a"))
    assert await ours.load_artifact(**HERE, filename="b") == TEXT


async def test_what_a_rewind_saved_is_absent(ours: ArtifactService) -> None:
    await ours.save_artifact(**HERE, filename="a", artifact=TEXT)
    gone = types.Part.from_bytes(data=b"", mime_type="application/octet-stream")
    assert await ours.save_artifact(**HERE, filename="a", artifact=gone) == 1
    assert await ours.load_artifact(**HERE, filename="a") is None
    assert await ours.load_artifact(**HERE, filename="a", version=0) == TEXT


async def test_agents_that_save_at_the_same_time_get_each_a_number(ours: ArtifactService) -> None:
    saves = [ours.save_artifact(**HERE, filename="a", artifact=types.Part(text=str(n))) for n in range(10)]
    assert sorted(await asyncio.gather(*saves)) == list(range(10))


async def test_what_the_deployment_refuses_is_told_in_its_words(ours: ArtifactService) -> None:
    large: dict[str, Any] = {"text": "x" * (10 * 1024 * 1024 + 1)}
    with pytest.raises(InputValidationError, match="10,485,760"):
        await ours.save_artifact(**HERE, filename="a", artifact=large)
    with pytest.raises(InputValidationError, match="position 0"):
        await ours.save_artifact(**HERE, filename="a", artifact=types.Part(text="\ud800"))
