import errno
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from handiwork.errors import (
    ContentTooLarge,
    HandiworkError,
    HandleTaken,
    InvalidName,
    QuotaExceeded,
    ScopeErased,
    StorageFailed,
    StorageFull,
    TookTooLong,
    UnsupportedFormat,
)
from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.projection import Projections
from handiwork.store.records import Quota
from handiwork.store.reserve import Reserve
from handiwork.store.space import Space
from handiwork.types.file import file_type
from handiwork.versions.content import Bytes
from handiwork.versions.creation import HANDLE_ATTEMPTS, Creation, Quotas
from handiwork.versions.drafts import Draft
from memory_store import NOON, MemoryBlobs, MemoryRecords

SCOPE = Scope(session="s")


class Making:
    """A creation on a store in memory."""

    def __init__(
        self,
        notes: Projections | None = None,
        *,
        retention: timedelta | None = timedelta(days=7),
        quotas: Quotas | None = None,
        space: Space | None = None,
    ) -> None:
        self.records, self.blobs, self.count = MemoryRecords(), MemoryBlobs(), 0
        self.creation = Creation(
            records=self.records,
            blobs=self.blobs,
            clock=lambda: NOON,
            new_id=self.new_id,
            retention=retention,
            notes=notes,
            quotas=quotas or Quotas(),
            space=space,
        )

    def new_id(self) -> ArtifactId:
        self.count += 1
        return ArtifactId(f"art_{self.count}")


def draft(name: str = "a.csv", data: bytes = b"a\n1\n", *, title: str | None = None, cap: int = 1000) -> Draft:
    return Draft(type=file_type(cap_bytes=cap), name=name, content=Bytes(data), title=title)


async def test_an_artifact_is_filed_with_what_its_content_is() -> None:
    making = Making()
    (made,) = await making.creation.file(SCOPE, [draft()])
    assert (made.id, made.scope, made.type, made.title) == ("art_1", SCOPE, "file", "a.csv")
    assert (made.media_type, made.category, made.size) == ("text/csv", "spreadsheet", 4)
    assert made.sha256 == hashlib.sha256(b"a\n1\n").hexdigest()
    assert (made.created_at, made.expires_at) == (NOON, NOON + timedelta(days=7))
    assert made.handle.startswith("a_")
    assert list(making.blobs.stored.values()) == [b"a\n1\n"]
    assert making.records.filed[0].blob_key in making.blobs.stored


async def test_without_a_retention_an_artifact_never_expires() -> None:
    (made,) = await Making(retention=None).creation.file(SCOPE, [draft()])
    assert made.expires_at is None


@pytest.mark.parametrize("kept_for", [timedelta(hours=1), None])
async def test_a_draft_may_have_a_retention_of_its_own(kept_for: timedelta | None) -> None:
    (made,) = await Making().creation.file(SCOPE, [replace(draft(), retention=kept_for)])
    assert made.expires_at == (None if kept_for is None else NOON + kept_for)


async def test_the_quotas_and_the_time_of_the_first_byte_go_with_the_addition() -> None:
    quotas = Quotas(session=Quota(artifacts=3), user=Quota(size=100))
    making = Making(quotas=quotas)
    await making.creation.file(SCOPE, [draft()])
    terms = making.records.terms
    assert terms is not None
    assert (terms.session, terms.user, terms.since) == (quotas.session, quotas.user, NOON)


@pytest.mark.parametrize(
    "refusal",
    [QuotaExceeded("artifacts per session", used=1, asked=1, limit=1), ScopeErased("s"), TookTooLong(1800)],
    ids=lambda refusal: type(refusal).__name__,
)
async def test_what_the_records_refuse_leaves_no_bytes(refusal: HandiworkError) -> None:
    making = Making()
    making.records.failure = refusal
    with pytest.raises(type(refusal)):
        await making.creation.file(SCOPE, [draft("a.csv"), draft("b.csv")])
    assert (making.blobs.stored, making.records.filed) == ({}, [])


class FullDisk(OperatingSystem):
    """Has no room for a reserve as long as `is_full`."""

    is_full = True

    def allocate(self, descriptor: int, size: int) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().allocate(descriptor, size)


async def test_nothing_is_stored_while_the_reserve_cannot_be_had_back(tmp_path: Path) -> None:
    disk = FullDisk()
    making = Making(space=Space(Reserve(tmp_path / "reserve", 300_000, files=disk)))
    with pytest.raises(StorageFull):
        await making.creation.file(SCOPE, [draft()])
    assert making.blobs.stored == {}
    disk.is_full = False
    await making.creation.file(SCOPE, [draft()])
    assert len(making.blobs.stored) == 1


async def test_a_run_without_files_is_recorded_even_without_the_reserve(tmp_path: Path) -> None:
    making = Making(space=Space(Reserve(tmp_path / "reserve", 300_000, files=FullDisk())))
    assert await making.creation.file(SCOPE, []) == ()


async def test_a_note_for_people_lies_beside_the_bytes(tmp_path: Path) -> None:
    notes = Projections(tmp_path)
    making = Making(notes)
    folder = tmp_path / "default" / "local" / "s" / "art_1"
    (folder / "1").mkdir(parents=True)
    await making.creation.file(SCOPE, [draft()])
    await notes.close()
    assert json.loads((folder / "metadata.json").read_text(encoding="utf-8"))["mediaType"] == "text/csv"


async def test_a_handle_that_is_taken_is_changed() -> None:
    making = Making()
    making.records.taken = 2
    (made,) = await making.creation.file(SCOPE, [draft()])
    assert len(set(making.records.tried)) == 3
    assert made.handle == making.records.tried[-1]


async def test_handles_that_are_taken_again_and_again_are_given_up_and_nothing_stays() -> None:
    making = Making()
    making.records.taken = HANDLE_ATTEMPTS
    with pytest.raises(HandleTaken):
        await making.creation.file(SCOPE, [draft()])
    assert making.blobs.stored == {}


@pytest.mark.parametrize("good", [0, 1, 2])
async def test_when_bytes_cannot_be_stored_none_are(good: int) -> None:
    making = Making()
    making.blobs.failure, making.blobs.good = StorageFull("disk"), good
    with pytest.raises(StorageFull):
        await making.creation.file(SCOPE, [draft(f"{n}.csv") for n in range(3)])
    assert (making.blobs.stored, making.records.filed) == ({}, [])


async def test_when_the_commit_fails_nobody_is_told_of_an_artifact() -> None:
    making = Making()
    making.records.failure = StorageFailed("db", "I/O error")
    with pytest.raises(StorageFailed):
        await making.creation.file(SCOPE, [draft()])
    assert making.records.filed == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (draft(data=b"x" * 11, cap=10), ContentTooLarge),
        (draft("a.mp4", b"\0\0\0\x18ftypmp42" + bytes(50)), UnsupportedFormat),
        (draft(""), InvalidName),
        (draft("a/b"), InvalidName),
        (draft("a\nb"), InvalidName),
        (draft("a\u202eb"), InvalidName),
        (draft("x" * 256), InvalidName),
        (draft(title="x" * 301), InvalidName),
        (draft(title="a\ud800"), InvalidName),
    ],
)
async def test_a_draft_that_cannot_be_admitted_keeps_the_others_out_too(
    bad: Draft, error: type[HandiworkError]
) -> None:
    making = Making()
    with pytest.raises(error):
        await making.creation.file(SCOPE, [draft(), bad])
    assert (making.blobs.stored, making.records.filed) == ({}, [])


@pytest.mark.parametrize(
    "good",
    [draft(data=b"x" * 10, cap=10), draft("x" * 255), draft("Отчёт.csv"), draft(title="x" * 300), draft(data=b"")],
)
async def test_a_draft_at_the_edge_is_admitted(good: Draft) -> None:
    (made,) = await Making().creation.file(SCOPE, [good])
    assert (made.name, made.title) == (good.name, good.title or good.name)


async def test_nothing_to_file_is_no_error() -> None:
    assert await Making().creation.file(SCOPE, []) == ()
