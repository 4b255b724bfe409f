import errno
import os
import socket
import stat
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handiwork.model import KIB, MIB, Limits
from handiwork.sandbox.harvest import (
    CHUNK_BYTES,
    DEEPEST,
    MOST_FILES,
    MOST_PAGES,
    Harvest,
    escaped,
    harvest,
    is_good_name,
)

pytestmark = pytest.mark.linux

NONE_GIVEN = frozenset[str]()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    return folder


class Gathered:
    """A harvest with its descriptor held open, as a run holds it."""

    def __init__(self, folder: Path, *, limits: Limits, given: frozenset[str], plotly: bytes | None) -> None:
        self.descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.found: Harvest = harvest(self.descriptor, limits=limits, given=given, plotly=plotly)

    @property
    def kept(self) -> dict[str, bytes]:
        return {output.path: output.read_at(0, output.size) for output in self.found.outputs}

    @property
    def refused(self) -> dict[str, str]:
        return {each.name: each.reason for each in self.found.refused}


class Gather:
    def __init__(self) -> None:
        self.opened: list[Gathered] = []

    def __call__(
        self,
        folder: Path,
        *,
        limits: Limits | None = None,
        given: frozenset[str] = NONE_GIVEN,
        plotly: bytes | None = None,
    ) -> Gathered:
        gathered = Gathered(folder, limits=limits or Limits(), given=given, plotly=plotly)
        self.opened.append(gathered)
        return gathered


@pytest.fixture
def gather() -> Generator[Gather]:
    gather = Gather()
    yield gather
    for each in gather.opened:
        os.close(each.descriptor)


def test_regular_files_of_all_folders_are_kept_in_order(work: Path, gather: Gather) -> None:
    for path in ("b.txt", "a.txt", "z/b.txt", "a/y/c.txt", "a/b.txt"):
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(path, encoding="utf-8")
    found = gather(work)
    assert list(found.kept) == ["a.txt", "b.txt", "a/b.txt", "a/y/c.txt", "z/b.txt"]
    assert found.kept["a/y/c.txt"] == b"a/y/c.txt"
    assert found.found.outputs[3].name == "c.txt"
    assert found.found.total_bytes == sum(map(len, found.kept))
    assert found.refused == {}


def test_what_the_supervisor_put_there_is_no_output_at_the_top_alone(work: Path, gather: Gather) -> None:
    (work / "rows.csv").symlink_to("inputs/rows.csv")
    (work / "inputs").mkdir()
    (work / "inputs" / "rows.csv").touch()
    (work / "sub").mkdir()
    (work / "sub" / "rows.csv").touch()
    assert list(gather(work, given=frozenset({"inputs", "rows.csv"})).kept) == ["sub/rows.csv"]


def test_no_link_is_followed(work: Path, gather: Gather) -> None:
    (work / "file").symlink_to("../secret.txt")
    (work / "folder").symlink_to("..")
    (work / "absolute").symlink_to(work.parent / "secret.txt")
    (work / "dangling").symlink_to("nowhere")
    (work / "loop").symlink_to("loop")
    (work / "real.txt").write_text("real", encoding="utf-8")
    found = gather(work)
    assert found.kept == {"real.txt": b"real"}
    assert found.refused == dict.fromkeys(("absolute", "dangling", "file", "folder", "loop"), "symlink")


def test_a_hard_link_is_refused_wherever_its_other_name_is(work: Path, gather: Gather) -> None:
    os.link(work.parent / "secret.txt", work / "outside")
    (work / "one").touch()
    os.link(work / "one", work / "two")
    assert gather(work).refused == {"outside": "hard_link", "one": "hard_link", "two": "hard_link"}


def test_what_is_no_file_is_refused_and_not_opened(work: Path, gather: Gather) -> None:
    os.mkfifo(work / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(work / "socket"))
        assert gather(work).refused == {"fifo": "fifo", "socket": "socket"}


@pytest.mark.root
def test_a_device_is_refused(work: Path, gather: Gather) -> None:
    os.mknod(work / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    assert gather(work).refused == {"zero": "device"}


def stand_as_an_ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse what the owner's own rights refuse, which root never meets."""
    open_anything = os.open

    def open_as_owner(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        # A handle on the mere place needs no right to the thing.
        if not flags & os.O_PATH and not os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_mode & stat.S_IRUSR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return open_anything(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr("os.open", open_as_owner)


def test_a_folder_that_cannot_be_read_is_told_and_the_rest_is_kept(
    work: Path, gather: Gather, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad", "good"):
        (work / name).mkdir()
        (work / name / "a.txt").touch()
    open_anything = os.open

    def open_but_bad(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "bad":
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return open_anything(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr("os.open", open_but_bad)
    found = gather(work)
    assert (list(found.kept), found.refused) == (["good/a.txt"], {"bad/": "unreadable"})


def test_rights_that_the_job_took_away_do_not_hide_its_files(
    work: Path, gather: Gather, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_as_an_ordinary_user(monkeypatch)
    (work / "shut").mkdir()
    (work / "shut" / "a.txt").write_text("a", encoding="utf-8")
    (work / "shut" / "a.txt").chmod(0)
    (work / "shut").chmod(0)
    assert gather(work).kept == {"shut/a.txt": b"a"}


def test_a_tree_that_is_too_deep_is_refused_below_its_limit(work: Path, gather: Gather) -> None:
    folder = work
    for _ in range(DEEPEST + 2):
        folder = folder / "d"
        folder.mkdir()
        (folder / "f").touch()
    found = gather(work)
    assert len(found.kept) == DEEPEST
    assert list(found.refused.values()) == ["too_deep"]


def test_of_very_many_files_the_first_are_kept_and_the_rest_counted(work: Path, gather: Gather) -> None:
    for number in range(5_000):
        (work / f"{number:04}").touch()
    found = gather(work)
    assert list(found.kept) == [f"{number:04}" for number in range(MOST_FILES)]
    refused = found.found.refused
    assert {each.reason for each in refused} == {"too_many_files"}
    assert refused[-1].name == "… and 3,900 more"
    assert len(refused) == 101


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"line\nbreak.txt", "line\\nbreak.txt"),
        (b"red\x1b[31m.txt", "red\\x1b[31m.txt"),
        ("gpj.\u202eexe".encode(), "gpj.\\u202eexe"),
        (b"latin\xff.txt", "latin\\udcff.txt"),
        (b"back\\slash.txt", "back\\\\slash.txt"),
        (b" . ", " . "),
        ("zero\u200bwidth".encode(), "zero\\u200bwidth"),
        ("no\u00a0break".encode(), "no\\xa0break"),
        ("narrow\u202fspace".encode(), "narrow\\u202fspace"),
    ],
)
def test_a_name_that_could_mislead_is_refused_and_shown_harmlessly(
    work: Path, gather: Gather, name: bytes, shown: str
) -> None:
    (work / os.fsdecode(name)).touch()
    folder = work / os.fsdecode(b"folder-" + name)
    folder.mkdir()
    (folder / "within.txt").touch()
    refused = gather(work).refused
    assert refused.get(shown) == "bad_name"
    assert all(is_plain(each) for each in refused)


def is_plain(name: str) -> bool:
    return name.isprintable() and name.encode().decode() == name


@pytest.mark.parametrize("name", ["a", "Отчёт 2026.pdf", "日本.csv", "-rf", "a'b\".txt", ".hidden", "é" * 127])
def test_an_ordinary_name_of_any_language_is_good(name: str) -> None:
    assert is_good_name(name)
    assert escaped(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", " ", "é" * 128, "\ud800"])
def test_a_name_that_no_system_takes_is_not_good(name: str) -> None:
    assert not is_good_name(name)


def test_an_endless_name_is_shown_short() -> None:
    assert len(escaped("x" * 5_000)) == 300


def test_a_file_over_its_limit_is_refused_with_the_number_and_the_rest_is_kept(work: Path, gather: Gather) -> None:
    (work / "big").write_bytes(bytes(KIB + 1))
    (work / "fits").write_bytes(bytes(KIB))
    found = gather(work, limits=Limits(file_bytes=KIB))
    assert list(found.kept) == ["fits"]
    assert found.refused == {"big": "too_large"}
    assert "1,025" in (found.found.refused[0].hint or "")
    assert not found.found.is_too_large


def test_files_over_the_limit_together_are_all_left(work: Path, gather: Gather) -> None:
    for number in range(3):
        (work / str(number)).write_bytes(bytes(KIB))
    assert len(gather(work, limits=Limits(output_bytes=3 * KIB)).kept) == 3
    too_large = gather(work, limits=Limits(output_bytes=3 * KIB - 1)).found
    assert (too_large.is_too_large, too_large.outputs, too_large.total_bytes) == (True, (), 3 * KIB)


def test_a_hole_counts_with_its_apparent_size(work: Path, gather: Gather) -> None:
    with (work / "hole").open("wb") as file:
        file.truncate(1024 * MIB)
    assert gather(work).refused == {"hole": "too_large"}
    assert gather(work).found.total_bytes == 1024 * MIB


async def test_a_file_is_streamed_in_chunks(work: Path, gather: Gather) -> None:
    content = os.urandom(2 * CHUNK_BYTES + 5)
    (work / "a.bin").write_bytes(content)
    (output,) = gather(work).found.outputs
    chunks = [chunk async for chunk in output.chunks()]
    assert [len(chunk) for chunk in chunks] == [CHUNK_BYTES, CHUNK_BYTES, 5]
    assert b"".join(chunks) == content


def test_a_file_that_was_exchanged_after_the_harvest_is_not_read(work: Path, gather: Gather) -> None:
    (work / "a.txt").write_text("mine", encoding="utf-8")
    (output,) = gather(work).found.outputs
    (work / "a.txt").unlink()
    os.link(work.parent / "secret.txt", work / "a.txt")
    with pytest.raises(OSError, match="changed during the harvest"):
        output.read_at(0, 10)


def test_a_folder_that_was_exchanged_for_a_link_is_not_entered(work: Path, gather: Gather) -> None:
    (work / "sub").mkdir()
    (work / "sub" / "secret.txt").write_text("mine", encoding="utf-8")
    (output,) = gather(work).found.outputs
    (work / "sub").rename(work / "moved")
    (work / "sub").symlink_to(work.parent)
    with pytest.raises(OSError):  # noqa: PT011  # the kernel's own words
        output.read_at(0, 10)


# Plotly

LIBRARY = b"/**\n* plotly.js v4.1.1\n*/\n" + b"var Plotly;" * 50
TAG = b'<script charset="utf-8" src="https://cdn.plot.ly/plotly-4.1.1.min.js" integrity="sha256-x"></script>'
INLINE = b'<script charset="utf-8">' + LIBRARY + b"</script>"


def test_a_page_that_refers_to_plotly_gets_the_library_in_its_place(work: Path, gather: Gather) -> None:
    (work / "page.html").write_bytes(b"<html>" + TAG + b"<p>after</p>")
    found = gather(work, plotly=LIBRARY)
    assert found.kept == {"page.html": b"<html>" + INLINE + b"<p>after</p>"}
    assert found.found.total_bytes == len(b"<html>" + TAG + b"<p>after</p>")


def test_the_reference_is_found_at_any_place_of_the_page(work: Path, gather: Gather) -> None:
    before = b" " * (CHUNK_BYTES - 20)  # so that it lies across two windows
    (work / "page.htm").write_bytes(before + TAG)
    assert gather(work, plotly=LIBRARY).kept == {"page.htm": before + INLINE}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.html", TAG.replace(b"4.1.1", b"2.0.0")),
        ("page.html", TAG.replace(b"cdn.plot.ly", b"cdn.example.org")),
        ("page.html", b"<p>https://cdn.plot.ly/plotly-4.1.1.min.js</p>"),
        ("page.txt", TAG),
    ],
)
def test_any_other_file_stays_as_it_is(work: Path, gather: Gather, name: str, content: bytes) -> None:
    (work / name).write_bytes(content)
    assert gather(work, plotly=LIBRARY).kept == {name: content}


def test_without_the_library_a_page_stays_as_it_is(work: Path, gather: Gather) -> None:
    (work / "page.html").write_bytes(TAG)
    assert gather(work, plotly=None).kept == {"page.html": TAG}
    assert gather(work, plotly=b"no version here").kept == {"page.html": TAG}


def test_the_library_is_put_into_so_many_pages_and_no_more(work: Path, gather: Gather) -> None:
    for number in range(MOST_PAGES + 2):
        (work / f"{number:02}.html").write_bytes(TAG)
    assert [content == INLINE for content in gather(work, plotly=LIBRARY).kept.values()] == [True] * MOST_PAGES + [
        False
    ] * 2


@given(
    before=st.binary(max_size=60),
    after=st.binary(max_size=60),
    offset=st.integers(0, 900),
    length=st.integers(0, 900),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_piece_of_a_completed_page_is_a_piece_of_the_whole(
    work: Path, before: bytes, after: bytes, offset: int, length: int
) -> None:
    (work / "page.html").write_bytes(before + TAG + after)
    gathered = Gathered(work, limits=Limits(), given=NONE_GIVEN, plotly=LIBRARY)
    try:
        (output,) = gathered.found.outputs
        whole = before + INLINE + after
        assert output.size == len(whole)
        assert output.read_at(offset, length) == whole[offset : offset + length]
    finally:
        os.close(gathered.descriptor)


# Whatever a job leaves

NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
KINDS = st.sampled_from(["file", "folder", "link in", "link out", "hard", "fifo", "shut"])


@given(entries=st.lists(st.tuples(NAMES, KINDS, st.integers(0, 5)), max_size=15))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_harvest_never_yields_anything_from_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, str, int]]
) -> None:
    above = tmp_path_factory.mktemp("tree")
    (above / "secret").write_bytes(b"secret")
    work = above / "work"
    work.mkdir()
    folders = [work]
    for name, kind, where in entries:
        place = folders[where % len(folders)] / name
        try:
            make(place, kind, above / "secret")
        except OSError:
            continue  # the name is taken, or the file system does not take it
        if kind == "folder":
            folders.append(place)
    gathered = Gathered(work, limits=Limits(), given=NONE_GIVEN, plotly=None)
    try:
        for path, content in gathered.kept.items():
            assert (work / path).resolve().is_relative_to(work)
            assert not (work / path).is_symlink()
            assert ".." not in path.split("/")
            assert content == b"own"
        assert all(is_plain(name) for name in gathered.refused)
        # Nothing is left out without a word.
        assert len(gathered.found.outputs) + len(gathered.found.refused) == sum(map(is_counted, below(work)))
    finally:
        os.close(gathered.descriptor)


def below(work: Path) -> list[Path]:
    """Everything in folders with good names: the others are refused whole."""
    return [p for p in work.rglob("*") if all(map(is_good_name, p.relative_to(work).parts[:-1]))]


def is_counted(place: Path) -> bool:
    return place.is_symlink() or not place.is_dir() or not is_good_name(place.name)


def make(place: Path, kind: str, secret: Path) -> None:
    match kind:
        case "folder":
            place.mkdir()
        case "link in":
            place.symlink_to("file")
        case "link out":
            place.symlink_to(secret)
        case "hard":
            os.link(secret, place)
        case "fifo":
            os.mkfifo(place)
        case _:
            with place.open("xb") as file:
                file.write(b"own")
            if kind == "shut":
                place.chmod(0)
