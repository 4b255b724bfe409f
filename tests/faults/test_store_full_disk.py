"""A store on a disk that is really full: nothing is harmed, and what frees space still works. See `full_disk`."""

import subprocess
import sys
from pathlib import Path

import full_disk
import pytest

DISK = "6m"


def run_on_a_small_disk(scenario: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    steps = f'mount -t tmpfs -o size={DISK} none "$1" && exec "$2" "$3" "$4" "$1"'
    program = [str(disk), sys.executable, full_disk.__file__, scenario]
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", steps, "sh", *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    if done.returncode and not done.stdout and "unshare" in done.stderr:
        pytest.skip(f"gap: no small disk can be mounted here ({done.stderr.strip()})")
    assert done.stdout == "done\n", done.stderr


pytestmark = [pytest.mark.linux, pytest.mark.timeout(60)]


@pytest.mark.quick
def test_removal_makes_room_on_a_full_disk_and_storing_goes_on(tmp_path: Path) -> None:
    run_on_a_small_disk("removal_frees", tmp_path)


def test_what_has_expired_is_purged_on_a_full_disk(tmp_path: Path) -> None:
    run_on_a_small_disk("purge_frees", tmp_path)


def test_another_process_can_make_room_on_a_full_disk(tmp_path: Path) -> None:
    run_on_a_small_disk("processes_share", tmp_path)


def test_what_other_verbs_store_on_a_full_disk_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    run_on_a_small_disk("other_verbs", tmp_path)


def test_without_a_reserve_removal_fails_on_a_full_disk(tmp_path: Path) -> None:
    run_on_a_small_disk("without_reserve", tmp_path)
