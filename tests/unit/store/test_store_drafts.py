import os
from pathlib import Path

import pytest

from file_faults import HasNoNamelessFiles
from handiwork.store.drafts import Draft, Place
from handiwork.store.file_operations import FileOperations, OperatingSystem
from handiwork.store.folders import Folders


def place(root: Path, files: FileOperations) -> Place:
    return Place(folder=root / ".tmp", folders=Folders(root, files), files=files, new_name=lambda: "draft")


@pytest.mark.parametrize("files", [OperatingSystem(), HasNoNamelessFiles()])
def test_what_was_written_is_committed_under_its_name_and_no_other(tmp_path: Path, files: FileOperations) -> None:
    target = tmp_path / "a" / "1" / "f"
    draft = Draft(place(tmp_path, files))

    draft.write(b"one ", bytearray(b"two "))
    draft.write(b"three")
    assert not target.exists()
    draft.commit(target)

    assert target.read_bytes() == b"one two three"
    assert os.listdir(tmp_path / ".tmp") == []  # noqa: PTH208  # names are compared


@pytest.mark.parametrize("files", [OperatingSystem(), HasNoNamelessFiles()])
@pytest.mark.parametrize("is_committed", [False, True])
def test_a_draft_that_is_withdrawn_leaves_nothing(tmp_path: Path, files: FileOperations, is_committed: bool) -> None:
    draft = Draft(place(tmp_path, files))
    draft.write(b"one")
    if is_committed:
        draft.commit(tmp_path / "a" / "1" / "f")

    draft.withdraw()
    draft.withdraw()

    assert [path.name for path in tmp_path.rglob("*")] == [".tmp"]


def test_a_draft_is_nameless_where_that_is_to_be_had(tmp_path: Path) -> None:
    for files, names in ((OperatingSystem(), []), (HasNoNamelessFiles(), ["draft"])):
        draft = Draft(place(tmp_path, files))
        draft.write(b"one")
        assert os.listdir(tmp_path / ".tmp") == names  # noqa: PTH208  # names are compared
        draft.withdraw()


def test_a_withdrawal_leaves_what_others_have_put_beside_it(tmp_path: Path) -> None:
    where = place(tmp_path, OperatingSystem())
    other = tmp_path / "a" / "2" / "f"
    Draft(where).commit(other)
    draft = Draft(where)
    draft.commit(tmp_path / "a" / "1" / "f")

    draft.withdraw()

    assert other.exists()
    assert not (tmp_path / "a" / "1").exists()
    assert not os.path.lexists(tmp_path / "a" / "1" / "f")
