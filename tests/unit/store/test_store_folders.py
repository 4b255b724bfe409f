import errno
import shutil
from pathlib import Path

import pytest

from file_faults import FailsOnce, Watched, open_below
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.folders import MANY, Folders, remove_tree


def settled(folders: Folders, files: Watched, path: Path) -> list[Path]:
    """Settle `path`; return what was synced for it."""
    files.calls.clear()
    folders.settle(path)
    return [path for call, path in files.calls if call == "sync"]


@pytest.fixture
def files() -> Watched:
    return Watched()


def test_every_folder_up_to_the_root_is_synced_the_first_time_and_only_the_lowest_after(
    tmp_path: Path, files: Watched
) -> None:
    folders = Folders(tmp_path, files)
    low = tmp_path / "a" / "b" / "c"
    folders.make(low)

    first = settled(folders, files, low)
    assert {low, tmp_path / "a" / "b", tmp_path / "a", tmp_path, tmp_path.parent} <= set(first)
    assert settled(folders, files, tmp_path / "a" / "b") == [tmp_path / "a" / "b"]


def test_the_entry_of_the_root_itself_is_synced_once(tmp_path: Path, files: Watched) -> None:
    root = tmp_path / "data" / "artifacts"
    folders = Folders(root, files)

    folders.settle_root()
    synced = {path for call, path in files.calls if call == "sync"}
    files.calls.clear()
    folders.settle_root()

    assert {root.parent, tmp_path} <= synced
    assert files.calls == []


def test_a_folder_that_another_process_made_is_synced_by_each(tmp_path: Path, files: Watched) -> None:
    ours, others = Folders(tmp_path, files), Folders(tmp_path, OperatingSystem())
    (tmp_path / "a").mkdir()
    ours.settle(tmp_path / "a")
    others.make(tmp_path / "a" / "b" / "c")

    synced = settled(ours, files, tmp_path / "a" / "b" / "c")

    assert tmp_path / "a" in synced, "the other has not said that the entry of `b` is on the disk"


def test_a_folder_that_was_removed_and_made_anew_is_synced_again(tmp_path: Path, files: Watched) -> None:
    folders = Folders(tmp_path, files)
    for round_number in range(20):
        low = tmp_path / "a" / "b" / "c"
        folders.make(low)
        assert tmp_path in settled(folders, files, low), round_number
        assert tmp_path not in settled(folders, files, low), "control: it is known as long as it is there"
        shutil.rmtree(tmp_path / "a")


def test_what_failed_to_be_synced_is_synced_again(tmp_path: Path) -> None:
    low = tmp_path / "a" / "b"
    low.mkdir(parents=True)
    n = 0
    while True:
        n += 1
        files = FailsOnce(n, errno.EIO)
        folders = Folders(tmp_path, files)
        before = open_below(tmp_path)
        try:
            folders.settle(low)
        except OSError:
            folders.close()
            assert open_below(tmp_path) == before
            assert {low, tmp_path / "a", tmp_path} <= set(settled(folders, files, low))
        else:
            break
    assert n > 6


def test_descriptors_are_bounded_and_given_back(tmp_path: Path, files: Watched) -> None:
    before = open_below(tmp_path)
    folders = Folders(tmp_path, files, remembered=5)
    for number in range(20):
        low = tmp_path / f"a{number}" / "b"
        folders.make(low)
        folders.settle(low)
        assert open_below(tmp_path) <= before + 5

    assert tmp_path in settled(folders, files, tmp_path / "a0" / "b"), "what was forgotten is synced again"
    del folders
    assert open_below(tmp_path) == before


def test_a_tree_is_removed_without_following_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "file").touch()
    (tree / "link").symlink_to(outside)

    remove_tree(tree, OperatingSystem())

    assert not tree.exists()
    assert (outside / "precious").exists()


def test_a_tree_of_many_is_removed_and_what_its_links_lead_to_is_not(tmp_path: Path) -> None:
    tree, kept = tmp_path / "tree", tmp_path / "kept"
    kept.mkdir()
    (kept / "a.txt").write_text("a", encoding="utf-8")
    for number in range(2 * MANY):
        (tree / str(number) / "below").mkdir(parents=True)
        (tree / str(number) / "below" / "a.txt").write_text("a", encoding="utf-8")
        (tree / f"link {number}").symlink_to(kept)
    remove_tree(tree, OperatingSystem())
    assert not tree.exists()
    assert [path.name for path in kept.iterdir()] == ["a.txt"]


def test_of_many_that_cannot_all_be_removed_the_failure_is_told_and_the_rest_goes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(2 * MANY):
        (tree / str(number)).mkdir(parents=True)

    class Stubborn(OperatingSystem):
        def remove_folder(self, path: Path) -> None:
            if path.name == "5":
                raise OSError(errno.EIO, "it stays")
            super().remove_folder(path)

    with pytest.raises(OSError, match="it stays"):
        remove_tree(tree, Stubborn())
    assert [path.name for path in tree.iterdir()] == ["5"]
