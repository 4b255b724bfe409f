import os
from pathlib import Path

import pytest

from handiwork.sandbox import trees


def test_a_tree_of_any_depth_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "top"
    top.mkdir()
    monkeypatch.chdir(top)
    for number in range(1500):
        Path("d").mkdir()
        Path("e").mkdir()
        Path(f"f{number}").touch()
        os.chdir("d")
    monkeypatch.undo()

    trees.remove(top)

    assert list(tmp_path.iterdir()) == []


def test_what_a_link_in_the_tree_points_to_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(kept)

    trees.remove(top)

    assert (kept / "file").exists()
    assert not top.exists()


def test_rights_are_never_given_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0o644)
    (tmp_path / "link").symlink_to(outside)
    parent = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        trees.give_rights(parent, "link", 0o700)
        assert outside.stat().st_mode & 0o777 == 0o644
        trees.give_rights(parent, "outside", 0o700)
        assert outside.stat().st_mode & 0o777 == 0o700
    finally:
        os.close(parent)


def test_a_folder_below_is_opened_one_step_at_a_time_and_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.close(trees.open_folder(root, "a/b"))
        with pytest.raises(OSError, match="link"):
            trees.open_folder(root, "link/b")
    finally:
        os.close(root)


def test_a_folder_whose_rights_were_taken_is_searchable_again(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut").chmod(0o400)
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.close(trees.open_folder(root, "shut"))
    finally:
        os.close(root)
    assert (tmp_path / "shut").stat().st_mode & 0o700 == 0o700
