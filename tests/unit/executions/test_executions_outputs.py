from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from handiwork.executions.outputs import Kept, kept_of
from handiwork.ids import ExecutionId
from handiwork.model import Outcome, Provenance, Refused
from handiwork.sandbox.sandbox import Run
from handiwork.types.file import file_type
from handiwork.versions.content import Bytes
from handiwork.versions.drafts import Admission

PROVENANCE = Provenance(execution_id=ExecutionId("exc_1"))
EVIL = Refused(name="evil", reason="symlink")


@dataclass(frozen=True, slots=True)
class Made:
    """A file that a job left."""

    path: str
    data: bytes = b"x"
    inserted_bytes: int = 0

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    def chunks(self) -> AsyncIterator[bytes]:
        return Bytes(self.data).chunks()


def kept(*made: Made, refused: tuple[Refused, ...] = ()) -> Kept:
    return kept_of(
        Run(outcome=Outcome(status="succeeded", refused=refused), outputs=made), file_type(), PROVENANCE, Admission()
    )


def names(*paths: str) -> list[str]:
    return [draft.name or "" for draft in kept(*map(Made, paths)).drafts]


def test_a_draft_says_where_the_file_lay_and_where_it_comes_from() -> None:
    at_the_top, below = kept(Made("a.txt"), Made("sub/b.csv")).drafts
    assert (at_the_top.name, at_the_top.metadata) == ("a.txt", {})
    assert (below.name, below.metadata) == ("b.csv", {"path": "sub/b.csv"})
    assert at_the_top.provenance is below.provenance is PROVENANCE


def titles(*paths: str) -> list[str | None]:
    run = Run(outcome=Outcome(status="succeeded"), outputs=tuple(map(Made, paths)))
    return [each.title for each in kept_of(run, file_type(), PROVENANCE, Admission(), title="t" * 300).drafts]


def test_the_files_of_a_run_are_called_as_the_caller_says() -> None:
    assert titles("a.txt") == ["t" * 300]
    assert titles("a.txt", "b.txt") == ["t" * 292 + " (a.txt)", "t" * 292 + " (b.txt)"]
    assert [each.title for each in kept(Made("a.txt")).drafts] == [None]


def test_what_was_put_in_on_the_way_is_told() -> None:
    (draft,) = kept(Made("a.html", b"<p>x</p>", inserted_bytes=7)).drafts
    assert draft.uncounted_bytes == 7


def test_a_format_that_is_not_delivered_joins_what_was_refused() -> None:
    found = kept(Made("a/film.mp4", b"\0\0\0\x18ftypmp42" + bytes(50)), Made("k.txt"), refused=(EVIL,))
    assert [(r.name, r.reason) for r in found.refused] == [("evil", "symlink"), ("a/film.mp4", "unsupported_format")]
    assert found.refused[1].hint
    assert [draft.name for draft in found.drafts] == ["k.txt"]


def test_names_that_differ_stay_as_they_are() -> None:
    assert names("a.txt", "b/c.txt", "b/d/e.txt") == ["a.txt", "c.txt", "e.txt"]


def test_equal_names_get_their_folders() -> None:
    assert names("r.txt", "a/r.txt", "b/c/r.txt") == ["r.txt", "a-r.txt", "b-c-r.txt"]


def test_names_that_differ_by_case_alone_are_equal() -> None:
    assert names("a/R.txt", "b/r.TXT") == ["a-R.txt", "b-r.TXT"]


def test_names_that_are_still_equal_are_counted() -> None:
    assert names("a-r.txt", "a/r.txt", "r.txt") == ["a-r.txt", "2-a-r.txt", "r.txt"]


def test_a_very_deep_path_gives_a_name_that_fits() -> None:
    deep = "/".join(["d" * 200] * 20)
    first, second = names(f"{deep}/r.txt", f"x/{deep}/r.txt")
    assert first != second
    assert max(map(len, (first, second))) <= 255
    assert first.endswith("r.txt")
