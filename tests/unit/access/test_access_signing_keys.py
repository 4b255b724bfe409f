import base64
import contextlib
import errno
import fcntl
import itertools
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from handiwork.access import signing_keys
from handiwork.access.signing_keys import FILE_NAME, SigningKeyFile
from handiwork.errors import HandiworkError, StorageFailed, StorageFull
from handiwork.store.file_operations import OperatingSystem

SECRET = base64.b64encode(b"s" * 32).decode()
MAKE_AND_TELL = """
import sys
from pathlib import Path
from handiwork.access.signing_keys import SigningKeyFile
file = SigningKeyFile(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
(key,) = file.read().keys
print(key.id, key.secret.hex())
"""


def written(folder: Path, text: str) -> SigningKeyFile:
    path = folder / FILE_NAME
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return SigningKeyFile(folder)


def test_the_file_is_made_when_it_is_first_needed_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    file = SigningKeyFile(folder)
    assert not folder.exists()
    (key,) = file.read().keys
    assert len(key.secret) == 32
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600
    assert (folder / FILE_NAME).read_text() == f"{key.id}:{base64.b64encode(key.secret).decode()}\n"


def test_another_process_reads_the_same_secret(tmp_path: Path) -> None:
    assert SigningKeyFile(tmp_path).read() == SigningKeyFile(tmp_path).read()


def test_processes_that_make_the_file_at_once_get_one_secret(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE_AND_TELL, str(tmp_path / "data")]
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(4)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = {process.communicate(timeout=30)[0] for process in processes}
    (key,) = SigningKeyFile(tmp_path / "data").read().keys
    assert answers == {f"{key.id} {key.secret.hex()}\n"}
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [FILE_NAME, f"{FILE_NAME}.lock"]


def test_a_rotation_puts_a_new_key_first_and_keeps_the_last_one(tmp_path: Path) -> None:
    file = SigningKeyFile(tmp_path)
    (first,) = file.read().keys
    second, kept = file.rotate().keys
    assert kept == first
    third, also_kept = file.rotate().keys
    assert (also_kept, len({first.id, second.id, third.id})) == (second, 3)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_rotation_makes_the_file_too(tmp_path: Path) -> None:
    assert len(SigningKeyFile(tmp_path / "data").rotate().keys) == 1


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    file = SigningKeyFile(tmp_path)
    ring = file.read()
    assert file.read(ring) is ring
    SigningKeyFile(tmp_path).rotate()
    assert file.read(ring).keys[1:] == ring.keys


def test_all_keys_of_a_file_written_by_hand_are_live(tmp_path: Path) -> None:
    other = base64.b64encode(b"t" * 32).decode()
    keys = written(tmp_path, f"a:{SECRET}\nb:{other}\n").read().keys
    assert [(key.id, key.secret) for key in keys] == [("a", b"s" * 32), ("b", b"t" * 32)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (f"{SECRET}\n", "line 1"),
        (f"a:{SECRET}\na:{SECRET}\n", "line 2"),
        (f"a.b:{SECRET}\n", "line 1"),
        (f"a:{SECRET}\n\n", "line 2"),
        ("a:c2hvcnQ=\n", "line 1"),
        ("a:ééé\n", "line 1"),
        (f"a:{SECRET[:-1]}\n", "line 1"),
        ("a" * 5000, "4,096"),
    ],
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, text: str, why: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(StorageFailed, match=why) as refused:
        file.read()
    assert SECRET[:20] not in str(refused.value)
    assert (tmp_path / FILE_NAME).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o666])
def test_a_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path, f"a:{SECRET}\n")
    (tmp_path / FILE_NAME).chmod(mode)
    with pytest.raises(StorageFailed, match="chmod 600"):
        file.read()


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440])
def test_a_file_that_only_its_owner_or_group_reads_is_taken(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path, f"a:{SECRET}\n")
    (tmp_path / FILE_NAME).chmod(mode)
    assert [key.id for key in file.read().keys] == ["a"]


def test_a_draft_that_a_dead_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f"{FILE_NAME}.draft").write_text("half")
    assert len(SigningKeyFile(tmp_path).read().keys) == 1
    assert not (tmp_path / f"{FILE_NAME}.draft").exists()


def test_a_lock_that_is_never_released_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "LOCK_SECONDS", 0.05)
    file = SigningKeyFile(tmp_path)
    with (tmp_path / f"{FILE_NAME}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageFailed, match="lock"):
            file.read()
    assert len(file.read().keys) == 1


class FailsOnce(OperatingSystem):
    """Fails the n-th call."""

    def __init__(self, n: int, code: int) -> None:
        self.calls, self._n, self._code = 0, n, code

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self._n:
            raise OSError(self._code, os.strerror(self._code))

    def create(self, path: Path) -> int:
        self._count()
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        self._count()
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._count()
        super().sync(descriptor)

    def make_folder(self, path: Path) -> None:
        self._count()
        super().make_folder(path)


@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, StorageFull), (errno.EIO, StorageFailed)])
def test_whichever_call_fails_no_broken_file_stays(tmp_path: Path, code: int, error: type[HandiworkError]) -> None:
    for n in itertools.count(1):
        folder = tmp_path / str(n)
        files = FailsOnce(n, code)
        with contextlib.suppress(error):
            SigningKeyFile(folder, files=files).read()
        assert len(SigningKeyFile(folder).read().keys) == 1
        assert not (folder / f"{FILE_NAME}.draft").exists()
        if files.calls < n:
            assert n > 6
            return


def test_a_rotation_that_fails_leaves_the_key_that_signed_alive(tmp_path: Path) -> None:
    signed_last = SigningKeyFile(tmp_path).read().keys[0]
    for n in itertools.count(1):
        files = FailsOnce(n, errno.ENOSPC)
        try:
            SigningKeyFile(tmp_path, files=files).rotate()
        except StorageFull:
            keys = SigningKeyFile(tmp_path).read().keys
            assert signed_last in keys
            signed_last = keys[0]
        else:
            assert n > 3
            return
