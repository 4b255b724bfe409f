import base64
import os
from pathlib import Path

import pytest

from handiwork.errors import InvalidSetting, StorageFailed
from handiwork.store.key_file import KEY_BYTES, KeyRing, make_key

SECRET = bytes(range(KEY_BYTES))
IN_BASE64 = base64.b64encode(SECRET)
BAD = {
    "empty": b"",
    "short": base64.b64encode(SECRET[:-1]),
    "long": base64.b64encode(SECRET + b"x"),
    "short hexadecimal": SECRET.hex()[:-2].encode(),
    "no base64": b"%" * 44,
    "two keys": IN_BASE64 + b"\n" + IN_BASE64,
    "raw bytes": SECRET,
    "not ASCII": "ä".encode() * 22,
    "NUL": b"\0" * 64,
    "huge": b"A" * 10_000_000,
}


def closed(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "content",
    [IN_BASE64, IN_BASE64 + b"\n", b"  " + IN_BASE64 + b"\r\n", SECRET.hex().encode(), SECRET.hex().upper().encode()],
)
def test_a_key_is_read_from_one_line_in_base64_or_hexadecimal(tmp_path: Path, content: bytes) -> None:
    ring = KeyRing.read(closed(tmp_path / "key", content))

    assert (ring.current, ring.previous) == (SECRET, ())


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_what_is_no_key_is_refused_with_the_setting_and_without_the_content(tmp_path: Path, content: bytes) -> None:
    path = closed(tmp_path / "key", content)

    with pytest.raises(InvalidSetting) as caught:
        KeyRing.read(path)

    assert "`artifacts.storage.encryption.key_file`" in str(caught.value)
    assert str(path) in str(caught.value)
    assert "`handiwork db new-key`" in str(caught.value)
    assert SECRET.hex()[:8] not in repr(caught.value)
    assert IN_BASE64.decode()[:8] not in repr(caught.value)


def test_a_file_that_is_not_there_is_told_with_its_setting(tmp_path: Path) -> None:
    good = closed(tmp_path / "good", IN_BASE64)

    with pytest.raises(InvalidSetting, match=r"encryption\.key_file.*no such file"):
        KeyRing.read(tmp_path / "missing")
    with pytest.raises(InvalidSetting, match=r"encryption\.previous.*no such file"):
        KeyRing.read(good, [tmp_path / "missing"])
    with pytest.raises(InvalidSetting, match=r"no file can have this name|no such file"):
        KeyRing.read(Path("a\0b"))
    assert KeyRing.read(good, [good]).previous == (SECRET,), "control: a key that is there"


def test_a_pipe_and_a_folder_are_no_key_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(InvalidSetting, match="not a regular file"):
            KeyRing.read(path)


def test_a_key_that_others_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = closed(tmp_path / "key", IN_BASE64)
    KeyRing.read(path)
    assert caplog.text == "", "control: nobody else can read it"

    path.chmod(0o640)
    KeyRing.read(path)

    assert str(path) in caplog.text
    assert "chmod 600" in caplog.text
    assert IN_BASE64.decode() not in caplog.text


def test_a_key_ring_does_not_show_its_keys(tmp_path: Path) -> None:
    ring = KeyRing.read(closed(tmp_path / "key", IN_BASE64), [closed(tmp_path / "old", IN_BASE64)])

    assert repr(SECRET)[2:12] not in repr(ring)


def test_a_new_key_is_for_its_owner_alone_and_like_no_other(tmp_path: Path) -> None:
    make_key(tmp_path / "one")
    make_key(tmp_path / "other")

    one, other = KeyRing.read(tmp_path / "one"), KeyRing.read(tmp_path / "other")
    assert len(one.current) == KEY_BYTES
    assert one.current != other.current
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600


def test_a_new_key_never_replaces_a_file(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    before = (tmp_path / "key").read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    for path in (tmp_path / "key", tmp_path / "link"):
        with pytest.raises(StorageFailed, match="already"):
            make_key(path)

    assert (tmp_path / "key").read_bytes() == before
    assert not (tmp_path / "elsewhere").exists()
