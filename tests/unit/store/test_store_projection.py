import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from handiwork.ids import ArtifactId, Handle
from handiwork.model import Artifact, Provenance, Scope, Version
from handiwork.store.keys import artifact_prefix
from handiwork.store.projection import FILE_NAME, Projections

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ARTIFACT = Artifact(
    id=ArtifactId("art_1"),
    handle=Handle("umsatz_k3x9"),
    scope=Scope(user="ada", session="conv-42"),
    type="file",
    title="Umsatz",
    created_at=NOON,
    updated_at=NOON,
    expires_at=None,
    version=Version(
        artifact_id=ArtifactId("art_1"),
        number=2,
        name="Umsätze.png",
        media_type="image/png",
        category="image",
        size=10240,
        sha256="0" * 64,
        created_at=NOON,
        provenance=Provenance(request_id="req-1"),
    ),
)


async def described(root: Path, artifact: Artifact) -> None:
    projections = Projections(root)
    projections.describe(artifact)
    await projections.close()


async def test_a_person_finds_what_the_file_is_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / artifact_prefix(ARTIFACT.scope, ARTIFACT.id)
    (folder / "1").mkdir(parents=True)
    (folder / FILE_NAME).write_text("that of version 1", encoding="utf-8")

    await described(tmp_path, ARTIFACT)

    assert json.loads((folder / FILE_NAME).read_text(encoding="utf-8")) == {
        "id": "art_1",
        "handle": "umsatz_k3x9",
        "type": "file",
        "title": "Umsatz",
        "version": 2,
        "mediaType": "image/png",
        "size": 10240,
        "createdAt": "2026-11-21T12:00:00+00:00",
        "session": "conv-42",
        "requestId": "req-1",
        "name": "Umsätze.png",
    }
    assert sorted(path.name for path in folder.iterdir()) == ["1", FILE_NAME]
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600


async def test_a_folder_that_is_gone_stays_gone_and_is_no_error(tmp_path: Path) -> None:
    await described(tmp_path, ARTIFACT)

    assert list(tmp_path.iterdir()) == []


async def test_the_folder_of_a_writer_who_came_too_late_gets_no_description(tmp_path: Path) -> None:
    folder = tmp_path / artifact_prefix(ARTIFACT.scope, ARTIFACT.id)
    (folder / "2").mkdir(parents=True)

    await described(tmp_path, ARTIFACT)

    assert [path.name for path in folder.iterdir()] == ["2"]


async def test_a_title_that_is_no_text_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / artifact_prefix(ARTIFACT.scope, ARTIFACT.id)
    (folder / "1").mkdir(parents=True)

    await described(tmp_path, replace(ARTIFACT, title="half \ud800"))

    assert json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))["title"] == "half \ud800"


async def test_whoever_stores_does_not_wait_and_what_was_handed_in_is_written(tmp_path: Path) -> None:
    folder = tmp_path / artifact_prefix(ARTIFACT.scope, ARTIFACT.id)
    (folder / "1").mkdir(parents=True)
    projections = Projections(tmp_path)
    for number in range(1, 51):
        projections.describe(replace(ARTIFACT, version=replace(ARTIFACT.version, number=number)))
    await projections.settled()
    assert json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))["version"] == 50
    await projections.close()


async def test_a_description_that_comes_late_replaces_no_newer_one(tmp_path: Path) -> None:
    folder = tmp_path / artifact_prefix(ARTIFACT.scope, ARTIFACT.id)
    (folder / "1").mkdir(parents=True)
    projections = Projections(tmp_path)
    for number in (2, 1):
        projections.describe(replace(ARTIFACT, version=replace(ARTIFACT.version, number=number)))
    await projections.close()
    assert json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))["version"] == 2
