"""What the type `image` takes: whole pictures of known formats, and references to artifacts."""

import base64
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from handiwork.errors import ContentRefused
from handiwork.types.image import SCHEME, image_type, reference_in
from handiwork.types.pixels import fault_of

IMAGE = image_type()
PILLOW = {"png", "jpeg", "gif", "webp", "bmp", "ico", "tiff", "avif"}
ID = "art_" + "a1B2c3D4e5F" * 2


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(out, kind)
    return out.getvalue()


PICTURES = {kind: picture(kind) for kind in sorted(PILLOW)}


def refusal(content: object) -> ContentRefused:
    with pytest.raises(ContentRefused) as refused:
        IMAGE.check(content)
    return refused.value


@pytest.mark.parametrize("kind", sorted(PILLOW))
def test_a_whole_picture_is_taken_and_its_format_told(kind: str):
    checked = IMAGE.check(PICTURES[kind])
    assert checked.format is not None
    assert (checked.data, checked.format.name) == (PICTURES[kind], kind)
    assert reference_in(PICTURES[kind]) is None


# A TIFF says where its pixels begin, and here only its directory is looked at; the last box of an AVIF is its pixels.
@pytest.mark.parametrize("kind", sorted(PILLOW - {"tiff", "avif"}))
def test_a_picture_that_breaks_off_is_refused(kind: str):
    data = PICTURES[kind]
    assert [length for length in range(len(data)) if fault_of(kind, data[:length]) is None] == []
    assert refusal(data[:-1]).got


def test_a_mark_alone_is_no_picture():
    for mark in (
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0 and words",
        b"GIF89a\x00\x00",
        b"RIFF\x00\x00\x00\x00WEBPVP8 \x01",
    ):
        assert refusal(mark).artifact_type == "image"


def test_a_picture_with_a_changed_byte_fails_its_check_sum():
    data = bytearray(PICTURES["png"])
    data[20] ^= 1
    assert "check sum" in refusal(bytes(data)).got


@pytest.mark.parametrize(
    "content",
    [
        "",
        b"",
        "words",
        b"words",
        "<svg/>",
        b"<svg/>",
        b"%PDF-1.7",
        b"\x00\x01",
        "<html></html>",
        "http://example.com/a.png",
    ],
)
def test_what_is_no_picture_is_refused_with_what_would_do(content: object):
    refused = refusal(content)
    assert "png" in refused.expected
    assert "artifact://" in (refused.hint or "")


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_data_url_is_stored_as_the_bytes_in_it(kind: str):
    url = f"data:image/{kind};base64,{base64.b64encode(PICTURES[kind]).decode()}\n"
    checked = IMAGE.check(url)
    assert checked.data == PICTURES[kind]
    assert IMAGE.check(checked.data) == checked


@pytest.mark.parametrize(
    "url", ["data:image/png;base64,!!", "data:image/png;base64,aGk=", "data:image/png;base64,", "data:,x"]
)
def test_a_data_url_without_a_picture_is_refused(url: str):
    assert refusal(url).artifact_type == "image"


@pytest.mark.parametrize(
    ("content", "reference"),
    [
        (f"artifact://{ID}", f"artifact://{ID}"),
        ("artifact://chart_k3x9", "artifact://chart_k3x9"),
        ("artifact://atf_own-prefix", "artifact://atf_own-prefix"),
        (ID, f"artifact://{ID}"),
        (" chart_k3x9\n", "artifact://chart_k3x9"),
        (b"chart_k3x9", "artifact://chart_k3x9"),
    ],
)
def test_a_reference_is_stored_in_one_spelling(content: str | bytes, reference: str):
    checked = IMAGE.check(content)
    assert (checked.data, f"{SCHEME}{reference_in(checked.data)}") == (reference.encode(), reference)
    assert IMAGE.check(checked.data) == checked
    assert checked.format is not None
    assert checked.format.media_type == "text/plain"


@pytest.mark.parametrize(
    "content",
    [
        "artifact://",
        "artifact://../x",
        "artifact://a/b",
        "artifact://a b",
        "art_short",
        "chart",
        "see chart_k3x9",
        "a_b" * 80,
    ],
)
def test_what_only_looks_like_a_reference_is_refused(content: str):
    assert refusal(content).artifact_type == "image"


@given(st.sampled_from(sorted(PILLOW)), st.data())
def test_a_picture_with_other_bytes_in_it_is_taken_or_refused(kind: str, data: st.DataObject):
    whole = PICTURES[kind]
    place = data.draw(st.integers(0, len(whole)))
    other = data.draw(st.binary(max_size=12))
    for changed in (whole[:place] + other + whole[place + len(other) :], whole[:place]):
        told = fault_of(kind, changed)
        assert told is None or told.startswith("one ")


@given(st.sampled_from([*sorted(PILLOW), "heic"]), st.binary(max_size=80))
def test_noise_is_no_crash(kind: str, noise: bytes):
    told = fault_of(kind, noise)
    assert told is None or told.startswith("one ")


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\xd0", b"\xff\xe0\x00\x02"])
def test_a_hostile_row_of_segments_ends_soon(filling: bytes):
    assert fault_of("jpeg", b"\xff\xd8" + filling * 500_000) == "one with too many segments"


def test_a_box_that_has_no_length_is_refused():
    head = struct.pack(">I4s4sI", 16, b"ftyp", b"avif", 0)
    assert fault_of("avif", head + struct.pack(">I4s", 3, b"meta")) == "one with a broken box"
    assert fault_of("avif", head + struct.pack(">I4s", 0, b"meta")) is None
