"""What `detect` says of real files, of files that lie, and of hostile ones."""

import json
import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import LIARS, LOOKALIKES, NAMELESS, PAGE, SAMPLES, Sample, ole, openpyxl_workbook, picture, zipped

from handiwork.media.detection import InMemory, detect
from handiwork.media.formats import BY_NAME, FORMATS
from handiwork.model import MIB


@dataclass
class Counted:
    """Content that counts what is read of it, and may say a size that is not its own."""

    data: bytes
    size: int
    reads: list[int] = field(default_factory=list[int])

    def read_at(self, offset: int, length: int) -> bytes:
        chunk = self.data[offset : offset + length]
        self.reads.append(len(chunk))
        return chunk


def name_of(name: str, data: bytes) -> str:
    return detect(name, InMemory(data)).name


def labelled(samples: tuple[Sample, ...]) -> list[object]:
    return [pytest.param(sample, id=sample.name or "no name") for sample in samples]


@pytest.mark.parametrize("sample", labelled(SAMPLES))
def test_a_file_under_its_own_name_is_told(sample: Sample):
    assert name_of(sample.name, sample.make()) == sample.format


@pytest.mark.parametrize("sample", labelled(LIARS))
def test_content_beats_a_name_that_lies(sample: Sample):
    assert name_of(sample.name, sample.make()) == sample.format


@pytest.mark.parametrize("sample", labelled(LOOKALIKES))
def test_text_that_begins_like_another_format_is_text(sample: Sample):
    assert name_of(sample.name, sample.make()) == sample.format


def test_sound_is_told_by_its_frames_under_another_name():
    frames = next(sample.make() for sample in SAMPLES if sample.name == "song.aac")
    assert (name_of("take.dat", frames), name_of("take.dat", frames[:-1])) == ("aac", "aac")
    assert name_of("take.dat", frames[:11]) == "binary"


@pytest.mark.parametrize("sample", labelled(NAMELESS))
def test_a_name_that_says_nothing_leaves_the_content_to_tell(sample: Sample):
    assert name_of(sample.name, sample.make()) == sample.format


def test_every_format_has_a_sample():
    assert {sample.format for sample in SAMPLES} >= {row.name for row in FORMATS if not row.is_text}


@pytest.mark.parametrize("name", ["out/charts/sales.csv", "out\\sales.CSV", "sales.csv. ", "x" * 9000 + ".csv"])
def test_the_extension_is_found_in_unusual_names(name: str):
    assert name_of(name, b"a,b\n1,2\n") == "csv"


def test_only_an_extension_speaks_for_a_format_and_not_its_name():
    assert name_of("reading.library", bytes(range(256))) == "binary"
    assert name_of("reading.a", bytes(range(256))) == "library"


def test_a_spreadsheet_without_its_directory_is_told_by_its_front():
    book = openpyxl_workbook()
    assert name_of("book.xlsx", book[: book.index(b"PK\x01\x02")]) == "xlsx"


def test_a_comment_and_bytes_before_the_first_member_do_not_hide_the_directory():
    members = ("[Content_Types].xml", b""), ("xl/workbook.xml", b"")
    assert name_of("x", zipped(*members, comment=b"c" * 60_000)) == "xlsx"
    assert name_of("x", zipped(("a", b"")) + zipped(*members)) == "xlsx"


def test_an_archive_of_arrays_keeps_the_name_zip():
    arrays = zipped(("a.npy", b"\x93NUMPY"))
    assert (name_of("a.zip", arrays), name_of("a", arrays)) == ("zip", "npz")


def test_the_name_decides_which_of_two_nested_documents_is_the_outer_one():
    both = ole("Workbook", "WordDocument")
    assert (name_of("old.doc", both), name_of("old.xls", both), name_of("old", both)) == ("doc", "xls", "xls")


def test_the_name_decides_where_an_old_office_file_cannot_be_read():
    header = ole("WordDocument")[:512]
    assert (name_of("old.doc", header), name_of("setup.msi", header)) == ("doc", "binary")


def test_an_installer_in_the_container_of_old_office_files_is_binary():
    assert name_of("setup.msi", ole("SummaryInformation")) == "binary"


def test_a_recording_without_a_mark_is_told_by_its_name():
    assert (name_of("take.aac", b"\x00\x01\x02"), name_of("take.dat", b"\x00\x01\x02")) == ("aac", "binary")


def test_a_page_stays_a_page_however_long_it_is():
    assert name_of("liar.txt", PAGE.encode() + b"<!-- x -->" * 200_000) == "html"


def test_long_text_is_judged_by_its_end_too():
    words = "naïve ".encode() * 40_000
    assert name_of("long.txt", words) == "text"
    assert name_of("long.txt", words + b"\x00\x01") == "binary"


@pytest.mark.parametrize("cut", range(4))
def test_a_character_across_the_edge_of_what_is_read_does_no_harm(cut: int):
    assert name_of("long", b"x" * cut + "\N{PARTY POPPER}".encode() * 50_000) == "text"


def test_a_long_text_in_utf_16_is_text():
    assert name_of("long", ("\N{PARTY POPPER} words " * 30_000).encode("utf-16")) == "text"


def test_long_json_that_does_not_close_is_text():
    assert name_of("long", json.dumps([{"a": "x" * 100}] * 2000).encode()[:-1]) == "text"


def many_members() -> bytes:
    return b"".join(b"PK\x03\x04" + bytes(22) + struct.pack("<HH", 1, 0) + b"a" for _ in range(100_000))


def endless_directory() -> bytes:
    directory = (b"PK\x01\x02" + bytes(42)) * 60_000
    return b"PK\x03\x04" + bytes(60) + directory + b"PK\x05\x06" + bytes(8) + struct.pack("<IIH", len(directory), 64, 0)


HOSTILE = {
    "members without a directory": many_members(),
    "an endless directory": endless_directory(),
    "end records only": b"PK\x03\x04" + b"PK\x05\x06" * 400_000,
    "a directory beyond the end": b"PK\x05\x06" + bytes(8) + b"\xff" * 8 + bytes(2),
    "a first member longer than the file": b"PK\x03\x04" + b"\x00" * 22 + b"\xff" * 4,
    "a directory sector beyond the end": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    + b"\xff" * 22
    + b"\x09\x00"
    + b"\xff" * 500,
    "comments without end": b"<!--" * 500_000,
    "declarations without end": b"<??>" * 500_000,
    "blanks": b" " * 2_000_000,
    "brackets": b"[" * 2_000_000,
    "a long number": b"[" + b"9" * 60_000 + b"]",
    "zeros": bytes(2_000_000),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_content_costs_less_than_a_mebibyte_of_reading(data: bytes):
    content = Counted(data, size=len(data))
    assert detect("upload", content) in FORMATS
    assert sum(content.reads) < MIB


@pytest.mark.parametrize("sample", labelled(SAMPLES))
def test_a_size_that_is_not_true_is_borne(sample: Sample):
    data = sample.make()
    for size in (0, 1, len(data) // 2, 1 << 62):
        assert detect(sample.name, Counted(data, size=size)) in FORMATS


def test_an_image_is_told_from_one_read():
    content = Counted(picture("PNG") + bytes(MIB), size=2 * MIB)
    assert detect("chart.png", content).name == "png"
    assert len(content.reads) == 1


marks = st.sampled_from([sample.make()[:600] for sample in SAMPLES])
names = st.one_of(st.text(), st.sampled_from([f"x.{extension}" for row in FORMATS for extension in row.extensions]))


@given(name=names, data=st.binary(max_size=2000))
def test_random_bytes_are_of_a_known_format(name: str, data: bytes):
    assert detect(name, InMemory(data)) in FORMATS


@given(name=names, mark=marks, cut=st.integers(0, 600), data=st.binary(max_size=600))
def test_random_bytes_after_a_true_beginning_are_of_a_known_format(name: str, mark: bytes, cut: int, data: bytes):
    assert detect(name, InMemory(mark[:cut] + data)) in FORMATS


@given(name=names, words=st.text(min_size=1, alphabet=st.characters(categories=["L", "N", "Zs"])))
def test_words_are_text_under_every_name(name: str, words: str):
    assert detect(name, InMemory(words.encode())).is_text


@given(members=st.sets(st.text(alphabet="ab./é", min_size=1, max_size=8), max_size=5))
def test_an_archive_of_any_members_is_an_archive(members: set[str]):
    assert detect("files.zip", InMemory(zipped(*((member, b"") for member in members)))) == BY_NAME["zip"]
