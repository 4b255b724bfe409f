import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from handiwork.errors import StorageFailed
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.owners import Owners

PROCESS = """
import sys
from pathlib import Path
from handiwork.store.owners import Owners
with Owners(Path(sys.argv[1])) as owners:
    (owners.folder / "draft").write_text("half of it")
    print(owners.id, flush=True)
    sys.stdin.read()
"""


@contextmanager
def process(folder: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Another owner in a process of its own, with a draft; it ends when its input does."""
    command = [sys.executable, "-c", PROCESS, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        try:
            yield other, other.stdout.readline().strip()
        finally:
            other.kill()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def test_a_process_that_lives_is_left_alone_and_one_that_was_killed_is_not(tmp_path: Path) -> None:
    with process(tmp_path) as (other, other_id), Owners(tmp_path) as owners:
        assert owners.abandoned() == []
        owners.sweep(other_id)
        assert owners.living() == {owners.id, other_id}
        assert (tmp_path / other_id / "draft").exists()

        other.kill()
        other.wait(5)

        assert owners.living() == {owners.id}
        assert owners.abandoned() == [other_id]
        assert (tmp_path / other_id / "draft").exists(), "nothing is removed before it is asked for"
        owners.sweep(other_id)
        assert owners.abandoned() == []
        assert names(tmp_path) == {owners.id}


def test_a_process_that_ends_in_peace_leaves_nothing(tmp_path: Path) -> None:
    with process(tmp_path) as (other, other_id):
        assert names(tmp_path) == {other_id}
        other.communicate(timeout=5)

    assert other.returncode == 0
    assert names(tmp_path) == set()


def test_what_one_holds_no_other_is_told_of_until_it_lets_go(tmp_path: Path) -> None:
    with process(tmp_path) as (other, other_id):
        other.kill()
        other.wait(5)
    with Owners(tmp_path) as second:
        with Owners(tmp_path) as first:
            assert first.abandoned() == [other_id]
            assert first.abandoned() == [other_id], "and it can be asked for again"
            assert second.abandoned() == []

        assert second.abandoned() == [other_id], "the first left before it swept, so it is all done again"


def test_a_sweep_that_stops_half_way_is_done_again_by_the_next(tmp_path: Path) -> None:
    class KeepsFolder(OperatingSystem):
        def remove(self, path: Path) -> None:
            if path.name == "lock":
                raise OSError(5, "Input/output error")
            super().remove(path)

    with process(tmp_path) as (other, other_id):
        other.kill()
        other.wait(5)
    with Owners(tmp_path) as next_one:
        with Owners(tmp_path, files=KeepsFolder()) as owners:
            assert owners.abandoned() == [other_id]
            with pytest.raises(StorageFailed):
                owners.sweep(other_id)

        assert set(next_one.abandoned()) == {other_id, owners.id}


def test_a_folder_whose_owner_never_got_its_lock_is_removed(tmp_path: Path) -> None:
    (tmp_path / "half" / "inner").mkdir(parents=True)
    (tmp_path / "a file").touch()

    with Owners(tmp_path) as owners:
        assert owners.abandoned() == []
        assert names(tmp_path) == {owners.id, "a file"}


def test_who_waits_too_long_is_told_whom_to_look_at(tmp_path: Path) -> None:
    with Owners(tmp_path):
        pass
    held = OperatingSystem().lock(tmp_path / ".lock")
    try:
        with pytest.raises(StorageFailed, match=f"process {os.getpid()} has held the lock"):
            Owners(tmp_path, deadline_seconds=0.05).__enter__()
        assert names(tmp_path) == set()
    finally:
        os.close(held)
    with Owners(tmp_path, deadline_seconds=0.05) as owners:
        assert owners.living() == {owners.id}, "control: nobody holds it now"


def test_a_program_that_an_owner_starts_does_not_keep_it_alive(tmp_path: Path) -> None:
    with Owners(tmp_path) as watching:
        owners = Owners(tmp_path)
        owners.__enter__()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            owners.__exit__(None, None, None)
            assert watching.living() == {watching.id}
            assert child.poll() is None
            child.communicate(b"\n", timeout=5)
